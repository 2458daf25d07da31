/* deadline.c - the deadline middleware: a time limit for each attempt.
 *
 * From the moment that the attempt comes here it has `limit`: warren_job_time_left_ms() counts it
 * down, and once it passed, warren_job_cancelled() and warren_job_cancel_fd() show it to the
 * handler. The handler is not interrupted; it ends when it returns. A handler that has not returned
 * by `hard_limit`, if there is one, is given up with its thread; see warren_job_hard_limit(). If it
 * returns after the limit:
 *
 *   ACK, REJECT,  stay what they are: an effect that came late is done all the same, and a verdict
 *   DISCARD       is a verdict. One line at warn says that it was late, with the count of late
 *                 ones so far.
 *   RETRY         stays, with the text "time limit of 5s passed", before the handler's own.
 *   REQUEUE       becomes RETRY, likewise: a handler that hands back because it was cancelled
 *                 would otherwise do so for ever, without blame.
 *
 * Thread: any at once.
 */
#include "middleware/builtin.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log_event.h"
#include "base/metrics.h"
#include "middleware/job_line.h"

#define LIMIT_MAX_MS    INT64_C(31536000000) /* 365 days */
#define LIMIT_TEXT_SIZE 32

struct deadline {
    const struct warren_subscription_info *info;
    _Atomic int64_t limit_ms;      /* of attempts that begin; a reload changes it, */
    _Atomic int64_t hard_limit_ms; /* and this; 0: none */
    atomic_uint_fast64_t late;     /* settled after their limit, and not tried again */
    struct warren_series *passed;  /* attempts that were over their limit */
};

static const struct warren_option deadline_options[] = {
    {"limit", WARREN_OPTION_DURATION, NULL, 1, LIMIT_MAX_MS, NULL,
     "How long one attempt may take; then the job is cancelled."},
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
static void warn_of_ack_timeout(const struct deadline *deadline, int64_t limit_ms,
                                int64_t hard_limit_ms)
{
    int64_t timeout_ms = deadline->info->ack_timeout_ms;
    char limit[LIMIT_TEXT_SIZE];
    char hard_limit[LIMIT_TEXT_SIZE];
    char timeout[LIMIT_TEXT_SIZE];

    if (timeout_ms == 0 || (limit_ms <= timeout_ms && hard_limit_ms <= timeout_ms))
        return;
    write_duration(limit_ms, limit);
    write_duration(hard_limit_ms, hard_limit);
    write_duration(timeout_ms, timeout);
    log_event(WARREN_LOG_WARN, "time limit above that after which the broker takes messages back",
              LOG_TEXT("queue", deadline->info->queue),
              LOG_TEXT("handler", deadline->info->handler), LOG_TEXT("limit", limit),
              LOG_TEXT("hard_limit", (hard_limit_ms > 0) ? hard_limit : NULL),
              LOG_TEXT("consumer_timeout", timeout));
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

static void deadline_reload(void *state, const struct warren_options *given)
{
    struct deadline *deadline = state;
    int64_t limit_ms = warren_options_int(given, "limit");
    int64_t hard_limit_ms = warren_options_int(given, "hard_limit");

    atomic_store(&deadline->limit_ms, limit_ms);
    atomic_store(&deadline->hard_limit_ms, hard_limit_ms);
    warn_of_ack_timeout(deadline, limit_ms, hard_limit_ms);
}

static enum warren_status deadline_open(const struct warren_subscription_info *info, void **state,
                                        struct warren_error *error)
{
    struct deadline *deadline = calloc(1, sizeof *deadline);

    if (!deadline)
        return error_set(error, WARREN_ENOMEM, "no memory for the middleware deadline");
    deadline->info = info;
    deadline->passed = metric_series(METRIC_TIME_LIMITS, info->queue, info->handler);
    deadline_reload(deadline, info->options);
    *state = deadline;
    return WARREN_OK;
}

static void deadline_close(void *state)
{
    struct deadline *deadline = state;

    if (!deadline)
        return;
    metric_release(deadline->passed);
    free(deadline);
}

static enum warren_outcome failed(int64_t limit_ms, struct warren_job *job)
{
    const char *error = warren_job_error(job);
    char limit[LIMIT_TEXT_SIZE];

    write_duration(limit_ms, limit);
    warren_job_fail(job, "time limit of %s passed%s%s", limit, error ? ": " : "",
                    error ? error : "");
    return WARREN_RETRY;
}

static void report_late(struct deadline *deadline, int64_t limit_ms, struct warren_job *job,
                        enum warren_outcome outcome)
{
    uint64_t late = atomic_fetch_add_explicit(&deadline->late, 1, memory_order_relaxed) + 1;
    char limit[LIMIT_TEXT_SIZE];
    struct log_line line;

    if (!log_enabled(WARREN_LOG_WARN))
        return;
    write_duration(limit_ms, limit);
    job_line_begin(&line, WARREN_LOG_WARN, "message handled after its time limit", job,
                   deadline->info->handler);
    log_text(&line, "outcome", warren_outcome_name(outcome));
    log_text(&line, "limit", limit);
    log_int(&line, "duration_ms", warren_job_elapsed_us(job) / 1000);
    log_int(&line, "late", (int64_t)late);
    log_end(&line);
}

static enum warren_outcome deadline_call(struct warren_job *job, const struct warren_link *next,
                                         void *state)
{
    struct deadline *deadline = state;
    int64_t limit_ms = atomic_load_explicit(&deadline->limit_ms, memory_order_relaxed);
    int64_t hard_limit_ms = atomic_load_explicit(&deadline->hard_limit_ms, memory_order_relaxed);
    int64_t begun_ms = warren_job_now_ms(job);
    int64_t until_ms = begun_ms + limit_ms;
    enum warren_outcome outcome;

    warren_job_limit(job, until_ms);
    if (hard_limit_ms > 0)
        warren_job_hard_limit(job, begun_ms + hard_limit_ms);
    outcome = warren_next(job, next);
    if (warren_job_now_ms(job) < until_ms)
        return outcome;
    warren_count(deadline->passed, 1);
    if (outcome == WARREN_RETRY || outcome == WARREN_REQUEUE)
        return failed(limit_ms, job);
    report_late(deadline, limit_ms, job, outcome);
    return outcome;
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
