/* deadline.c - see deadline.h. */
#include "middleware/deadline.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "middleware/job_line.h"

#define LIMIT_MAX_MS    INT64_C(31536000000) /* 365 days */
#define LIMIT_TEXT_SIZE 32

/* What the options say; does not change. */
struct plan {
    int64_t limit_ms;
    int64_t hard_limit_ms; /* 0: none */
    char limit[LIMIT_TEXT_SIZE];
    struct plan *older; /* of before a reload: attempts may be at work with it */
};

struct deadline {
    const struct warren_subscription_info *info;
    _Atomic(struct plan *) plan; /* in force for attempts that begin */
    atomic_uint_fast64_t late;   /* settled after their limit, and not tried again */
};

static const struct warren_option deadline_options[] = {
    {"limit", WARREN_OPTION_DURATION, NULL, 1, LIMIT_MAX_MS, NULL,
     "How long one attempt may take; then the handler is told to give up."},
    {"hard_limit", WARREN_OPTION_DURATION, "0ms", 0, LIMIT_MAX_MS, NULL,
     "When a handler that has not returned is given up: where it is is logged, the attempt counts "
     "as a crash, the process finishes the other handlers and executes itself again; 0 means "
     "never."},
    {0}};

static void write_duration(int64_t ms, char text[LIMIT_TEXT_SIZE])
{
    if (ms % 60000 == 0)
        snprintf(text, LIMIT_TEXT_SIZE, "%" PRId64 "m", ms / 60000);
    else if (ms % 1000 == 0)
        snprintf(text, LIMIT_TEXT_SIZE, "%" PRId64 "s", ms / 1000);
    else
        snprintf(text, LIMIT_TEXT_SIZE, "%" PRId64 "ms", ms);
}

/* Then the broker closes the channel and delivers again what still is in a handler here. */
static void warn_of_ack_timeout(const struct deadline *deadline, const struct plan *plan)
{
    int64_t timeout_ms = deadline->info->ack_timeout_ms;
    char hard_limit[LIMIT_TEXT_SIZE];
    char timeout[LIMIT_TEXT_SIZE];
    struct log_line line;

    if (timeout_ms == 0 || (plan->limit_ms <= timeout_ms && plan->hard_limit_ms <= timeout_ms))
        return;
    write_duration(timeout_ms, timeout);
    write_duration(plan->hard_limit_ms, hard_limit);
    log_begin(&line, WARREN_LOG_WARN,
              "time limit above that after which the broker takes messages back");
    log_text(&line, "queue", deadline->info->queue);
    log_text(&line, "handler", deadline->info->handler);
    log_text(&line, "limit", plan->limit);
    if (plan->hard_limit_ms > 0)
        log_text(&line, "hard_limit", hard_limit);
    log_text(&line, "consumer_timeout", timeout);
    log_end(&line);
}

static enum warren_status deadline_check(const struct warren_options *given,
                                         struct warren_error *error)
{
    int64_t limit_ms = warren_options_int(given, "limit");
    int64_t hard_limit_ms = warren_options_int(given, "hard_limit");

    if (hard_limit_ms > 0 && hard_limit_ms < limit_ms)
        return error_set(error, WARREN_ECONFIG,
                         "hard_limit (%" PRId64 " ms) is below limit (%" PRId64 " ms)",
                         hard_limit_ms, limit_ms);
    return WARREN_OK;
}

/* NULL: no memory. */
static struct plan *make_plan(const struct deadline *deadline, const struct warren_options *given)
{
    struct plan *plan = calloc(1, sizeof *plan);

    if (!plan)
        return NULL;
    plan->limit_ms = warren_options_int(given, "limit");
    plan->hard_limit_ms = warren_options_int(given, "hard_limit");
    write_duration(plan->limit_ms, plan->limit);
    warn_of_ack_timeout(deadline, plan);
    return plan;
}

static enum warren_status deadline_open(const struct warren_subscription_info *info, void **state,
                                        struct warren_error *error)
{
    struct deadline *deadline = calloc(1, sizeof *deadline);
    struct plan *plan;

    if (!deadline)
        return error_set(error, WARREN_ENOMEM, "no memory for the middleware deadline");
    deadline->info = info;
    plan = make_plan(deadline, info->options);
    if (!plan) {
        free(deadline);
        return error_set(error, WARREN_ENOMEM, "no memory for the middleware deadline");
    }
    atomic_init(&deadline->plan, plan);
    *state = deadline;
    return WARREN_OK;
}

static void deadline_reload(void *state, const struct warren_options *given)
{
    struct deadline *deadline = state;
    struct plan *plan = make_plan(deadline, given);

    if (!plan) {
        log_error("deadline of queue %s: no memory for its new options", deadline->info->queue);
        return;
    }
    plan->older = atomic_load_explicit(&deadline->plan, memory_order_relaxed);
    atomic_store_explicit(&deadline->plan, plan, memory_order_release);
}

static enum warren_outcome failed(const struct plan *plan, struct warren_job *job)
{
    const char *error = warren_job_error(job);

    warren_job_fail(job, "time limit of %s passed%s%s", plan->limit, error ? ": " : "",
                    error ? error : "");
    return WARREN_RETRY;
}

static void report_late(struct deadline *deadline, const struct plan *plan, struct warren_job *job,
                        enum warren_outcome outcome)
{
    uint64_t late = atomic_fetch_add_explicit(&deadline->late, 1, memory_order_relaxed) + 1;
    struct log_line line;

    if (!log_enabled(WARREN_LOG_WARN))
        return;
    job_line_begin(&line, WARREN_LOG_WARN, "message handled after its time limit", job,
                   deadline->info->handler);
    log_text(&line, "outcome", warren_outcome_name(outcome));
    log_text(&line, "limit", plan->limit);
    log_int(&line, "duration_ms", warren_job_elapsed_us(job) / 1000);
    log_int(&line, "late", (int64_t)late);
    log_end(&line);
}

static enum warren_outcome deadline_call(struct warren_job *job, const struct warren_link *next,
                                         void *state)
{
    struct deadline *deadline = state;
    const struct plan *plan = atomic_load_explicit(&deadline->plan, memory_order_acquire);
    int64_t begun_ms = warren_job_now_ms(job);
    int64_t until_ms = begun_ms + plan->limit_ms;
    enum warren_outcome outcome;

    warren_job_limit(job, until_ms);
    if (plan->hard_limit_ms > 0)
        warren_job_hard_limit(job, begun_ms + plan->hard_limit_ms);
    outcome = warren_next(job, next);
    if (warren_job_now_ms(job) < until_ms)
        return outcome;
    if (outcome == WARREN_RETRY || outcome == WARREN_REQUEUE)
        return failed(plan, job);
    report_late(deadline, plan, job, outcome);
    return outcome;
}

static void deadline_close(void *state)
{
    struct deadline *deadline = state;
    struct plan *plan = atomic_load_explicit(&deadline->plan, memory_order_relaxed);

    while (plan) {
        struct plan *older = plan->older;

        free(plan);
        plan = older;
    }
    free(deadline);
}

const struct warren_middleware middleware_deadline = {
    .name = "deadline",
    .help = "Gives each attempt a time limit.",
    .options = deadline_options,
    .open = deadline_open,
    .call = deadline_call,
    .reload = deadline_reload,
    .check = deadline_check,
    .close = deadline_close,
};
