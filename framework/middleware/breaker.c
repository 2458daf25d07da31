/* breaker.c - the breaker middleware: lets what keeps failing rest, and tries it with probes.
 *
 * A failed attempt (WARREN_RETRY) is a failure, WARREN_ACK and WARREN_DISCARD are successes.
 * WARREN_REJECT is the message's own fault and says nothing, unless reject_counts; nor does
 * WARREN_REQUEUE, nor an attempt that was forgiven.
 *
 * While closed, a success costs one atomic addition (5 ns here, against 50 for a clock
 * reading and a mutex), a failure one mutex. Not closed, each message takes the mutex. It is held
 * for some arithmetic only.
 * Thread: any at once. Elsewhere: when it trips and closes (base/breaker_state.h).
 */
#include "middleware/builtin.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "amqp/wire/notes.h"
#include "base/breaker_state.h"
#include "base/error.h"
#include "base/log_event.h"
#include "base/metrics.h"
#include "base/suggest.h"
#include "middleware/shared.h"

/* While half-open, how soon to look whether the probes closed it. */
#define LOOK_AGAIN_MS 50
/* And how soon a message comes back that was turned away meanwhile. */
#define HALF_OPEN_RETRY_MS 1000

enum on_open { ON_OPEN_PAUSE, ON_OPEN_RETRY, ON_OPEN_DEAD_LETTER };
#define ON_OPEN_WORDS "pause|retry|dead-letter"

struct breaker {
    struct shared shared;
    _Atomic int on_open; /* enum on_open; a reload may change it, and the next one */
    atomic_bool reject_counts;
    struct breaker_plan plan;   /* under the mutex; wanted, */
    bool changed;               /* and not yet the state's */
    uint64_t openings;          /* under the mutex */
    struct breaker_state state; /* under the mutex, as is all writing of the next three */

    /* Successes while the breaker is closed, counted without mutex and clock. They belong to the
     * step of the window in which messages were last admitted. One that ends at the very moment
     * of a change may be counted in the next epoch: harmless. */
    _Atomic uint64_t calm;       /* the epoch, or 0 unless closed */
    _Atomic int64_t step_end_ms; /* after it the next admission updates the state */
    _Atomic uint32_t successes;  /* not yet counted in the window */
};

/* Of a subscription that has a breaker, perhaps with others: a series for each phase, and then. */
#define PHASES   (BREAKER_HALF_OPEN + 1)
#define OPENINGS PHASES

_Static_assert(OPENINGS < SHARED_SERIES, "there is room for the series");

/* What is logged of a change, after the mutex was given back. */
struct change {
    enum breaker_phase phase;
    int64_t open_ms;
    struct breaker_step sum; /* of the window that tripped it, if one did */
};

static const struct warren_option options[] = {
    {"failure_percent", WARREN_OPTION_INT, "50", 0, 100, NULL,
     "Opens when this percentage of the window's calls failed; 0 means never."},
    {"min_calls", WARREN_OPTION_INT, "10", 1, 1000000, NULL,
     "How many calls the window must hold before failure_percent counts."},
    {"window", WARREN_OPTION_DURATION, "1m", 100, 3600000, NULL,
     "How long a call is remembered; the window slides in ten steps."},
    {"consecutive", WARREN_OPTION_INT, "0", 0, 1000000, NULL,
     "Opens after this many failures in a row; 0 means never."},
    {"open_time", WARREN_OPTION_DURATION, "5s", 1, 3600000, NULL,
     "How long it stays open at first."},
    {"open_growth", WARREN_OPTION_INT, "2", 1, 100, NULL,
     "Each time that probes fail, it stays open this many times longer than before."},
    {"max_open_time", WARREN_OPTION_DURATION, "1m", 1, 86400000, NULL,
     "But never longer than this."},
    {"probes", WARREN_OPTION_INT, "1", 1, 1000, NULL,
     "How many messages are let through after the open time to try."},
    {"close_percent", WARREN_OPTION_INT, "100", 1, 100, NULL,
     "It closes when this percentage of the probes succeeded, and opens again when that cannot be "
     "reached any more."},
    {"on_open", WARREN_OPTION_ENUM, "pause", 0, 0, ON_OPEN_WORDS,
     "While open: take no messages, or answer each with a later retry that does not count as an "
     "attempt, or dead-letter each."},
    {"reject_counts", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Whether a rejected message is a failure, too."},
    {"name", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "Subscriptions of this process with the same name share one breaker."},
    {0}};

/* ---- life ---- */

static void read_switches(struct breaker *breaker, const struct warren_options *given)
{
    atomic_store(&breaker->on_open,
                 choices_find(ON_OPEN_WORDS, warren_options_text(given, "on_open")));
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

static void publish(struct breaker *breaker)
{
    const struct breaker_state *state = &breaker->state;
    uint64_t calm = state->phase == BREAKER_CLOSED ? state->epoch : 0;

    atomic_store_explicit(&breaker->step_end_ms, breaker_state_step_end_ms(state),
                          memory_order_relaxed);
    atomic_store_explicit(&breaker->calm, calm, memory_order_relaxed);
}

static void breaker_init(struct shared *fresh, const struct warren_options *given)
{
    struct breaker *breaker = (struct breaker *)fresh;

    read_switches(breaker, given);
    breaker->plan = read_plan(given);
    breaker_state_init(&breaker->state, &breaker->plan, 0);
    publish(breaker);
}

_Static_assert(sizeof(struct breaker_plan) == 3 * sizeof(int64_t) + 6 * sizeof(uint32_t),
               "plans are compared as bytes, so they have no padding");

static bool same(const struct shared *running, const struct shared *fresh)
{
    const struct breaker *a = (const struct breaker *)running;
    const struct breaker *b = (const struct breaker *)fresh;

    return atomic_load(&a->on_open) == atomic_load(&b->on_open) &&
           atomic_load(&a->reject_counts) == atomic_load(&b->reject_counts) &&
           memcmp(&a->plan, &b->plan, sizeof a->plan) == 0;
}

static struct breaker *breaker_of(void *state)
{
    return (struct breaker *)((struct shared_user *)state)->shared;
}

static void put(void *arg)
{
    struct shared_user *user = arg;
    struct breaker *breaker = breaker_of(user);
    enum breaker_phase phase;
    uint64_t openings;

    pthread_mutex_lock(&breaker->shared.mutex);
    phase = breaker->state.phase;
    openings = breaker->openings;
    pthread_mutex_unlock(&breaker->shared.mutex);
    for (int i = 0; i < PHASES; i++)
        metric_put(user->series[i], i == (int)phase);
    metric_put(user->series[OPENINGS], (double)openings);
}

static void meter(struct shared_user *user, const struct warren_subscription_info *info)
{
    static const char *const names[PHASES] = {"closed", "open", "half-open"};

    for (int i = 0; i < PHASES; i++)
        user->series[i] = metric_series(METRIC_BREAKER_STATE, info->queue, info->handler, names[i]);
    user->series[OPENINGS] = metric_series(METRIC_BREAKER_OPENINGS, info->queue, info->handler);
}

static const struct shared_kind breakers = {
    sizeof(struct breaker), sizeof(struct shared_user), breaker_init, same, meter, put};

static enum warren_status breaker_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    return shared_open(&breakers, info, state, error);
}

static void breaker_reload(void *state, const struct warren_options *given)
{
    struct breaker *breaker = breaker_of(state);

    read_switches(breaker, given);
    pthread_mutex_lock(&breaker->shared.mutex);
    breaker->plan = read_plan(given);
    breaker->changed = true;
    /* The next message that is admitted brings the clock's reading that the change needs. */
    atomic_store_explicit(&breaker->step_end_ms, INT64_MIN, memory_order_relaxed);
    pthread_mutex_unlock(&breaker->shared.mutex);
}

/* ---- changes of the state ---- */

/* Take the mutex, and bring the state up to date: what was counted apart, what a reload changed. */
static enum breaker_phase enter(struct breaker *breaker, int64_t now_ms)
{
    pthread_mutex_lock(&breaker->shared.mutex);
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
    bool tripped = opened && change->sum.calls > 0;

    log_event(opened ? WARREN_LOG_WARN : WARREN_LOG_INFO, events[change->phase],
              LOG_TEXT("breaker", breaker->shared.name[0] ? breaker->shared.name : NULL),
              LOG_TEXT("queue", breaker->shared.queue),
              LOG_INT_IF(opened, "open_ms", change->open_ms),
              LOG_INT_IF(tripped, "calls", change->sum.calls),
              LOG_INT_IF(tripped, "failures", change->sum.failures));
}

/* Give the mutex back, and say once what has changed since enter(). */
static void leave(struct breaker *breaker, enum breaker_phase before)
{
    struct change change = {.phase = breaker->state.phase, .open_ms = breaker->state.open_ms};

    if (before == BREAKER_CLOSED)
        change.sum = breaker_state_sum(&breaker->state);
    breaker->openings += change.phase == BREAKER_OPEN && before != BREAKER_OPEN;
    publish(breaker);
    pthread_mutex_unlock(&breaker->shared.mutex);
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
    struct breaker *breaker = breaker_of(state);
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
    struct breaker *breaker = breaker_of(state);
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
    struct breaker *breaker = breaker_of(state);

    (void)now_ms;
    if (is_calm(breaker) || !pauses(breaker))
        return;
    pthread_mutex_lock(&breaker->shared.mutex);
    breaker_state_took(&breaker->state, count);
    pthread_mutex_unlock(&breaker->shared.mutex);
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
    .close = shared_close,
};
