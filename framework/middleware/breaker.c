/* breaker.c - see breaker.h. */
#include "middleware/breaker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/annotations.h"
#include "base/breaker_state.h"
#include "base/error.h"
#include "base/log.h"
#include "middleware/shared.h"

/* While half-open, how soon to look whether the probes closed it. */
#define LOOK_AGAIN_MS 50
/* And how soon a message comes back that was turned away meanwhile. */
#define HALF_OPEN_RETRY_MS 1000

enum on_open { ON_OPEN_PAUSE, ON_OPEN_RETRY, ON_OPEN_DEAD_LETTER };

struct breaker {
    struct shared shared;
    _Atomic int on_open; /* enum on_open; a reload may change it, and the next one */
    atomic_bool reject_counts;
    pthread_mutex_t mutex;
    struct breaker_plan plan;   /* under the mutex; wanted, */
    bool changed;               /* and not yet the state's */
    struct breaker_state state; /* under the mutex, as is all writing of the next three */

    /* Successes while the breaker is closed, counted without mutex and clock. They belong to the
     * step of the window in which messages were last admitted. One that ends at the very moment
     * of a change may be counted in the next epoch: harmless. */
    _Atomic uint64_t calm;       /* the epoch, or 0 unless closed */
    _Atomic int64_t step_end_ms; /* the next admission after it tells the state */
    _Atomic uint32_t successes;  /* not yet told */
};

/* What is logged of a change, after the mutex was given back. */
struct change {
    enum breaker_phase phase;
    int64_t open_ms;
    struct breaker_step sum; /* of the window that tripped it, if one did */
};

static struct shared_registry registry = SHARED_REGISTRY(registry);

static const struct warren_option options[] = {
    {"failure_percent", WARREN_OPTION_INT, "50", 0, 100, NULL,
     "Opens when so many percent of the window's calls failed; 0 means never."},
    {"min_calls", WARREN_OPTION_INT, "10", 1, 1000000, NULL,
     "How many calls the window must hold before failure_percent counts."},
    {"window", WARREN_OPTION_DURATION, "1m", 100, 3600000, NULL,
     "How long a call is remembered; the window slides in ten steps."},
    {"consecutive", WARREN_OPTION_INT, "0", 0, 1000000, NULL,
     "Opens after so many failures in a row; 0 means never."},
    {"open_time", WARREN_OPTION_DURATION, "5s", 1, 3600000, NULL,
     "How long it stays open at first."},
    {"open_growth", WARREN_OPTION_INT, "2", 1, 100, NULL,
     "After failed probes it stays open so many times longer than before."},
    {"max_open_time", WARREN_OPTION_DURATION, "1m", 1, 86400000, NULL,
     "But never longer than this."},
    {"probes", WARREN_OPTION_INT, "1", 1, 1000, NULL,
     "How many messages are let through after the open time to try."},
    {"close_percent", WARREN_OPTION_INT, "100", 1, 100, NULL,
     "It closes when so many percent of the probes succeeded, and opens again when they cannot."},
    {"on_open", WARREN_OPTION_ENUM, "pause", 0, 0, "pause|retry|dead-letter",
     "While open: take no messages, or answer each with a later retry that does not count as an "
     "attempt, or dead-letter each."},
    {"reject_counts", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Whether a rejected message is a failure, too."},
    {"name", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "Subscriptions of this process with the same name share one breaker."},
    {0}};

/* ---- life ---- */

static enum on_open read_on_open(const struct warren_options *given)
{
    const char *word = warren_options_text(given, "on_open");

    if (strcmp(word, "retry") == 0)
        return ON_OPEN_RETRY;
    return strcmp(word, "dead-letter") == 0 ? ON_OPEN_DEAD_LETTER : ON_OPEN_PAUSE;
}

static void read_switches(struct breaker *breaker, const struct warren_options *given)
{
    atomic_store(&breaker->on_open, (int)read_on_open(given));
    atomic_store(&breaker->reject_counts, warren_options_bool(given, "reject_counts"));
}

static struct breaker_plan read_plan(const struct warren_options *given)
{
    return (struct breaker_plan){
        .window_ms = warren_options_int(given, "window"),
        .open_ms = warren_options_int(given, "open_time"),
        .open_max_ms = warren_options_int(given, "max_open_time"),
        .open_factor = (uint32_t)warren_options_int(given, "open_growth"),
        .failure_percent = (uint32_t)warren_options_int(given, "failure_percent"),
        .min_calls = (uint32_t)warren_options_int(given, "min_calls"),
        .consecutive = (uint32_t)warren_options_int(given, "consecutive"),
        .probes = (uint32_t)warren_options_int(given, "probes"),
        .close_percent = (uint32_t)warren_options_int(given, "close_percent"),
    };
}

static enum warren_status breaker_check(const struct warren_options *given,
                                        struct warren_error *error)
{
    struct breaker_plan plan = read_plan(given);

    if (plan.failure_percent == 0 && plan.consecutive == 0)
        return error_set(error, WARREN_ECONFIG,
                         "with failure_percent 0 and consecutive 0 it would never open");
    if (plan.open_ms > plan.open_max_ms)
        return error_set(error, WARREN_ECONFIG,
                         "open_time (%" PRId64 " ms) is above max_open_time (%" PRId64 " ms)",
                         plan.open_ms, plan.open_max_ms);
    return WARREN_OK;
}

static bool same(const struct breaker *a, const struct breaker *b)
{
    const struct breaker_plan *x = &a->plan;
    const struct breaker_plan *y = &b->plan;

    return atomic_load(&a->on_open) == atomic_load(&b->on_open) &&
           atomic_load(&a->reject_counts) == atomic_load(&b->reject_counts) &&
           x->window_ms == y->window_ms && x->open_ms == y->open_ms &&
           x->open_max_ms == y->open_max_ms && x->open_factor == y->open_factor &&
           x->failure_percent == y->failure_percent && x->min_calls == y->min_calls &&
           x->consecutive == y->consecutive && x->probes == y->probes &&
           x->close_percent == y->close_percent;
}

/* Whether @a, which others may be using, has the options of @b. */
static bool same_options(struct breaker *a, const struct breaker *b)
{
    bool answer;

    pthread_mutex_lock(&a->mutex);
    answer = same(a, b);
    pthread_mutex_unlock(&a->mutex);
    return answer;
}

static void breaker_free(struct breaker *breaker)
{
    if (!breaker)
        return;
    shared_done(&breaker->shared);
    pthread_mutex_destroy(&breaker->mutex);
    free(breaker);
}

static void publish(struct breaker *breaker)
{
    const struct breaker_state *state = &breaker->state;
    uint64_t calm = state->phase == BREAKER_CLOSED ? state->epoch : 0;

    atomic_store_explicit(&breaker->step_end_ms, breaker_state_step_end_ms(state),
                          memory_order_relaxed);
    atomic_store_explicit(&breaker->calm, calm, memory_order_relaxed);
}

static struct breaker *breaker_new(const struct warren_subscription_info *info)
{
    struct breaker *breaker = calloc(1, sizeof *breaker);

    if (!breaker)
        return NULL;
    pthread_mutex_init(&breaker->mutex, NULL);
    read_switches(breaker, info->options);
    breaker->plan = read_plan(info->options);
    breaker_state_init(&breaker->state, &breaker->plan, 0);
    publish(breaker);
    if (shared_init(&breaker->shared, warren_options_text(info->options, "name"), info->queue) ==
        WARREN_OK)
        return breaker;
    breaker_free(breaker);
    return NULL;
}

static void breaker_close(void *state)
{
    struct breaker *breaker = state;

    if (breaker && shared_leave(&registry, &breaker->shared))
        breaker_free(breaker);
}

static enum warren_status breaker_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    struct breaker *fresh = breaker_new(info);
    enum warren_status status = WARREN_OK;
    struct breaker *breaker;

    if (!fresh)
        return error_set(error, WARREN_ENOMEM, "no memory");
    breaker = list_entry(shared_join(&registry, &fresh->shared), struct breaker, shared);
    if (breaker != fresh && !same_options(breaker, fresh)) {
        status = error_set(error, WARREN_ECONFIG,
                           "name '%s': queue %s gives it other options than queue %s",
                           fresh->shared.name, info->queue, breaker->shared.queue);
        breaker_close(breaker);
    }
    if (breaker != fresh)
        breaker_free(fresh);
    if (status == WARREN_OK)
        *state = breaker;
    return status;
}

static void breaker_reload(void *state, const struct warren_options *given)
{
    struct breaker *breaker = state;

    read_switches(breaker, given);
    pthread_mutex_lock(&breaker->mutex);
    breaker->plan = read_plan(given);
    breaker->changed = true;
    /* The next message that is admitted brings the clock's reading that the change needs. */
    atomic_store_explicit(&breaker->step_end_ms, INT64_MIN, memory_order_relaxed);
    pthread_mutex_unlock(&breaker->mutex);
}

/* ---- changes of the state ---- */

/* Take the mutex, and tell the state what has been counted apart, and what a reload brought. */
static enum breaker_phase enter(struct breaker *breaker, int64_t now_ms)
{
    pthread_mutex_lock(&breaker->mutex);
    breaker_state_add(&breaker->state,
                      atomic_exchange_explicit(&breaker->successes, 0, memory_order_relaxed));
    if (breaker->changed)
        breaker_state_change(&breaker->state, &breaker->plan, now_ms);
    breaker->changed = false;
    return breaker->state.phase;
}

static void write_change(const struct breaker *breaker, const struct change *change)
{
    static const char *const events[] = {"breaker closed", "breaker opened", "breaker half-open"};
    bool opened = change->phase == BREAKER_OPEN;
    enum warren_log_level level = opened ? WARREN_LOG_WARN : WARREN_LOG_INFO;
    struct log_line line;

    if (!log_enabled(level))
        return;
    log_begin(&line, level, events[change->phase]);
    if (breaker->shared.name[0])
        log_text(&line, "breaker", breaker->shared.name);
    log_text(&line, "queue", breaker->shared.queue);
    if (opened)
        log_int(&line, "open_ms", change->open_ms);
    if (opened && change->sum.calls > 0) {
        log_int(&line, "calls", change->sum.calls);
        log_int(&line, "failures", change->sum.failures);
    }
    log_end(&line);
}

/* Give the mutex back, and say once what has changed since enter(). */
static void leave(struct breaker *breaker, enum breaker_phase before)
{
    struct change change = {.phase = breaker->state.phase, .open_ms = breaker->state.open_ms};

    if (before == BREAKER_CLOSED)
        change.sum = breaker_state_sum(&breaker->state);
    publish(breaker);
    pthread_mutex_unlock(&breaker->mutex);
    if (change.phase != before)
        write_change(breaker, &change);
}

/* ---- calls ---- */

static uint64_t begin(struct breaker *breaker, struct warren_job *job, int64_t *ret_wait_ms)
{
    int64_t now_ms = warren_job_now_ms(job);
    enum breaker_phase before = enter(breaker, now_ms);
    uint64_t ticket = breaker_state_begin(&breaker->state, now_ms);

    *ret_wait_ms = breaker->state.until_ms - now_ms;
    if (breaker->state.phase == BREAKER_HALF_OPEN && *ret_wait_ms > HALF_OPEN_RETRY_MS)
        *ret_wait_ms = HALF_OPEN_RETRY_MS;
    leave(breaker, before);
    return ticket;
}

static enum warren_outcome turn_away(const struct breaker *breaker, struct warren_job *job,
                                     int64_t wait_ms)
{
    const char *name = breaker->shared.name[0] ? breaker->shared.name : breaker->shared.queue;
    int on_open = atomic_load_explicit(&breaker->on_open, memory_order_relaxed);

    warren_job_fail(job, "the breaker of %s is open", name);
    warren_job_forgive(job);
    if (on_open == ON_OPEN_DEAD_LETTER) {
        warren_job_reason(job, REASON_BREAKER);
        return WARREN_REJECT;
    }
    /* Paused: it was with the workers already when the breaker opened, and goes back to where the
     * others wait, so that it is there when the breaker closes. */
    warren_job_retry_after(job, on_open == ON_OPEN_PAUSE || wait_ms < 0 ? 0 : wait_ms);
    return WARREN_RETRY;
}

static enum breaker_result judge(const struct breaker *breaker, const struct warren_job *job,
                                 enum warren_outcome outcome)
{
    switch (outcome) {
    case WARREN_ACK:
    case WARREN_DISCARD:
        return BREAKER_SUCCESS;
    case WARREN_RETRY:
        return warren_job_forgiven(job) ? BREAKER_NEUTRAL : BREAKER_FAILURE;
    case WARREN_REJECT:
        return atomic_load_explicit(&breaker->reject_counts, memory_order_relaxed)
                   ? BREAKER_FAILURE
                   : BREAKER_NEUTRAL;
    case WARREN_REQUEUE:
        break;
    }
    return BREAKER_NEUTRAL;
}

static void end(struct breaker *breaker, struct warren_job *job, uint64_t ticket,
                enum breaker_result result)
{
    enum breaker_phase before;
    int64_t now_ms;

    if (ticket == atomic_load_explicit(&breaker->calm, memory_order_relaxed)) {
        if (result == BREAKER_SUCCESS)
            atomic_fetch_add_explicit(&breaker->successes, 1, memory_order_relaxed);
        if (result != BREAKER_FAILURE)
            return;
    }
    now_ms = warren_job_now_ms(job);
    before = enter(breaker, now_ms);
    breaker_state_end(&breaker->state, ticket, result, now_ms);
    leave(breaker, before);
}

static enum warren_outcome breaker_call(struct warren_job *job, const struct warren_link *next,
                                        void *state)
{
    struct breaker *breaker = state;
    uint64_t ticket = atomic_load_explicit(&breaker->calm, memory_order_relaxed);
    enum warren_outcome outcome;
    int64_t wait_ms = 0;

    if (ticket == 0) {
        ticket = begin(breaker, job, &wait_ms);
        if (ticket == 0)
            return turn_away(breaker, job, wait_ms);
    }
    outcome = warren_next(job, next);
    end(breaker, job, ticket, judge(breaker, job, outcome));
    return outcome;
}

/* ---- admission ---- */

static bool pauses(const struct breaker *breaker)
{
    return atomic_load_explicit(&breaker->on_open, memory_order_relaxed) == ON_OPEN_PAUSE;
}

static bool is_calm(const struct breaker *breaker)
{
    return atomic_load_explicit(&breaker->calm, memory_order_relaxed) != 0;
}

static uint32_t breaker_may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct breaker *breaker = state;
    enum breaker_phase before;
    uint32_t may;

    if (is_calm(breaker)) {
        if (now_ms < atomic_load_explicit(&breaker->step_end_ms, memory_order_relaxed))
            return want;
    } else if (!pauses(breaker)) {
        return want;
    }
    before = enter(breaker, now_ms);
    may = breaker_state_may(&breaker->state, want, now_ms, ret_retry_ms);
    if (may < want && breaker->state.phase == BREAKER_HALF_OPEN && *ret_retry_ms > LOOK_AGAIN_MS)
        *ret_retry_ms = LOOK_AGAIN_MS;
    leave(breaker, before);
    return may;
}

static void breaker_took(void *state, uint32_t count, int64_t now_ms)
{
    struct breaker *breaker = state;

    (void)now_ms;
    if (is_calm(breaker) || !pauses(breaker))
        return;
    pthread_mutex_lock(&breaker->mutex);
    breaker_state_took(&breaker->state, count);
    pthread_mutex_unlock(&breaker->mutex);
}

const struct warren_middleware middleware_breaker = {
    .name = "breaker",
    .help = "Stops handling while most attempts fail, and begins again when a probe succeeds.",
    .options = options,
    .open = breaker_open,
    .call = breaker_call,
    .may = breaker_may,
    .took = breaker_took,
    .reload = breaker_reload,
    .check = breaker_check,
    .fixed = "name",
    .close = breaker_close,
};
