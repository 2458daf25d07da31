/* retry.c - the retry middleware: when a failed attempt is made again, and when no more.
 * Takes no lock and allocates nothing; a success costs it one comparison.
 * Thread: any at once. Elsewhere: the delays (base/backoff.h), who waits (consume/).
 */
#include "middleware/builtin.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/wire/notes.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/suggest.h"

/* Without max_attempts, where that loses no message. */
#define USUAL_ATTEMPTS 5
/* A message that waits in memory is unsettled, and RabbitMQ closes a channel over one that is so
 * for 30 minutes: half of that. */
#define MOST_MS 900000
/* What delay queues can keep; delay.longest may allow less. */
#define LONGEST_MS INT64_C(536870911000)

/* What the options say. */
struct plan {
    struct retry_policy policy;
    int64_t max_attempts; /* 0: no limit */
    int64_t max_age_ms;   /* 0: no limit */
    int64_t hold_max_ms;
};

struct retry {
    bool dead_letters;
    _Atomic(const struct warren_options *) options; /* in force; read when an attempt has failed */
};

/* In the order of enum retry_growth and enum retry_jitter. */
#define GROWTHS "immediate|constant|linear|exponential"
#define JITTERS "none|equal|full|decorrelated"

static const struct warren_option options[] = {
    {"policy", WARREN_OPTION_ENUM, "exponential", 0, 0, GROWTHS,
     "How the delay grows with the attempts."},
    {"jitter", WARREN_OPTION_ENUM, "full", 0, 0, JITTERS,
     "How random the delay is: not at all, its second half, all of it, or min(max_delay, "
     "random(initial_delay, 3 x the delay before))."},
    {"initial_delay", WARREN_OPTION_DURATION, "500ms", 0, LONGEST_MS, NULL,
     "The delay after the first attempt."},
    {"max_delay", WARREN_OPTION_DURATION, "30s", 0, LONGEST_MS, NULL,
     "No delay is longer, not even one that the handler asks for. delay.longest bounds it, too."},
    {"factor", WARREN_OPTION_INT, "2", 2, 100, NULL,
     "With policy exponential each delay is this many times the one before."},
    {"max_attempts", WARREN_OPTION_INT, "-1", -1, 1000000, NULL,
     "The message is rejected when this many attempts failed; 0 means no limit, -1 means 5 with "
     "dead_letter.enabled, and no limit without: a broker drops what is rejected where there is "
     "no dead-letter exchange."},
    {"max_age", WARREN_OPTION_DURATION, "0ms", 0, LONGEST_MS, NULL,
     "The message is rejected when the next attempt would begin later than this after the first "
     "failure; 0 means no limit. Mind the dead-letter exchange, as above."},
    {"in_memory_max", WARREN_OPTION_DURATION, "30s", 0, MOST_MS, NULL,
     "Longer delays are not waited for in the prefetch window: the message goes to the delay "
     "queues, "
     "with its attempts counted, and comes again from there."},
    {0}};

static struct retry_policy read_policy(const struct warren_options *given)
{
    return (struct retry_policy){
        .growth = (enum retry_growth)choices_find(GROWTHS, warren_options_text(given, "policy")),
        .jitter = (enum retry_jitter)choices_find(JITTERS, warren_options_text(given, "jitter")),
        .initial_ms = warren_options_int(given, "initial_delay"),
        .max_ms = warren_options_int(given, "max_delay"),
        .factor = (uint32_t)warren_options_int(given, "factor"),
    };
}

static enum warren_status retry_check(const struct warren_options *given,
                                      struct warren_error *error)
{
    struct retry_policy policy = read_policy(given);
    int64_t max_age_ms = warren_options_int(given, "max_age");
    int64_t shortest_ms = retry_policy_shortest_ms(&policy);

    if (policy.initial_ms > policy.max_ms)
        return error_set(error, WARREN_ECONFIG,
                         "initial_delay (%" PRId64 " ms) is above max_delay (%" PRId64 " ms)",
                         policy.initial_ms, policy.max_ms);
    if (policy.jitter == RETRY_JITTER_DECORRELATED && policy.growth != RETRY_EXPONENTIAL)
        return error_set(error, WARREN_ECONFIG,
                         "jitter decorrelated grows by itself and needs policy exponential");
    if (policy.jitter == RETRY_JITTER_DECORRELATED && policy.initial_ms == 0)
        return error_set(error, WARREN_ECONFIG,
                         "jitter decorrelated needs an initial_delay above 0 to grow from");
    if (max_age_ms > 0 && shortest_ms > max_age_ms)
        return error_set(error, WARREN_ECONFIG,
                         "the shortest delay (%" PRId64 " ms) is above max_age (%" PRId64
                         " ms): there would be no second attempt",
                         shortest_ms, max_age_ms);
    return WARREN_OK;
}

int64_t retry_attempts(int64_t max_attempts, bool dead_letters)
{
    if (max_attempts >= 0)
        return max_attempts;
    return dead_letters ? USUAL_ATTEMPTS : 0;
}

static struct plan plan_in_force(const struct retry *retry)
{
    const struct warren_options *given =
        atomic_load_explicit(&retry->options, memory_order_acquire);

    return (struct plan){
        .policy = read_policy(given),
        .max_attempts =
            retry_attempts(warren_options_int(given, "max_attempts"), retry->dead_letters),
        .max_age_ms = warren_options_int(given, "max_age"),
        .hold_max_ms = warren_options_int(given, "in_memory_max"),
    };
}

static void retry_reload(void *state, const struct warren_options *given)
{
    struct retry *retry = state;

    atomic_store_explicit(&retry->options, given, memory_order_release);
}

static enum warren_status retry_open(const struct warren_subscription_info *info, void **state,
                                     struct warren_error *error)
{
    struct retry *retry = calloc(1, sizeof *retry);

    if (!retry)
        return error_set(error, WARREN_ENOMEM, "no memory");
    retry->dead_letters = info->dead_letters;
    retry_reload(retry, info->options);
    *state = retry;
    return WARREN_OK;
}

static void give_up(struct warren_job *job, const char *reason, const char *why)
{
    const char *error = warren_job_error(job);

    warren_job_reason(job, reason);
    warren_job_fail(job, "gave up %s%s%s", why, error ? ": " : "", error ? error : "");
}

static int64_t delay_ms(const struct retry_policy *policy, struct warren_job *job, uint32_t attempt)
{
    int64_t wanted_ms = warren_job_retry_delay_ms(job);

    if (wanted_ms >= 0)
        return wanted_ms < policy->max_ms ? wanted_ms : policy->max_ms;
    return retry_policy_seeded_ms(policy, attempt, warren_job_seed(job));
}

static enum warren_outcome failed(const struct plan *plan, struct warren_job *job)
{
    uint32_t attempt = warren_job_attempt(job);
    int64_t delay;
    char why[64];

    if (plan->max_attempts > 0 && attempt >= plan->max_attempts) {
        snprintf(why, sizeof why, "after %" PRIu32 " attempt%s", attempt, attempt > 1 ? "s" : "");
        give_up(job, REASON_ATTEMPTS, why);
        return WARREN_REJECT;
    }
    delay = delay_ms(&plan->policy, job, attempt);
    if (plan->max_age_ms > 0) {
        int64_t age_ms = warren_job_now_ms(job) - warren_job_first_ms(job);

        if (age_ms + delay > plan->max_age_ms) {
            snprintf(why, sizeof why, "after %" PRId64 " ms and attempt %" PRIu32, age_ms, attempt);
            give_up(job, REASON_AGE, why);
            return WARREN_REJECT;
        }
    }
    warren_job_retry_after(job, delay);
    return WARREN_RETRY;
}

static enum warren_outcome retry_call(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    enum warren_outcome outcome = warren_next(job, next);
    struct plan plan;

    if (outcome != WARREN_RETRY)
        return outcome;
    plan = plan_in_force(state);
    warren_job_hold_max(job, plan.hold_max_ms);
    /* A forgiven attempt was none: whoever forgave it has said when the next one is due. */
    return warren_job_forgiven(job) ? outcome : failed(&plan, job);
}

const struct warren_middleware middleware_retry = {
    .name = "retry",
    .help = "Attempts a message again after a growing delay, and rejects it after too many.",
    .options = options,
    .open = retry_open,
    .call = retry_call,
    .reload = retry_reload,
    .check = retry_check,
    .close = free,
    .late_failures = true,
};
