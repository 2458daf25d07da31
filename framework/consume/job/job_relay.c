/* job_relay.c - the end of a failed attempt: where the message waits, or what is published in its
 * place, decided on the worker's thread, where waiting for the publisher hurts least.
 */
#include "amqp/wire/notes.h"
#include "consume/job/job.h"
#include "consume/relay/relay.h"

/* The delay of what was to be handed back, and must not be: see relay.into_queue. */
#define HERE_AGAIN_MS 1000

static int64_t left_ms(const struct warren_job *job)
{
    int64_t deadline_ms = atomic_load_explicit(job->source->deadline_ms, memory_order_relaxed);

    return deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - clock_now_ms(job->source->clock);
}

static bool is_draining(const struct warren_job *job)
{
    const struct job_source *source = job->source;

    return atomic_load_explicit(source->deadline_ms, memory_order_relaxed) != INT64_MAX ||
           (source->leaves && atomic_load_explicit(source->leaves, memory_order_relaxed));
}

/* What the next attempt has to know. */
static void count_failure(struct warren_job *job)
{
    struct attempt *attempt = job->attempt;

    attempt->forgiven = job->forgiven;
    if (!job->forgiven)
        attempt_count_failure(attempt);
}

/* By the clock, when the attempt that was asked for is due. */
static int64_t due_ms(const struct warren_job *job)
{
    int64_t due;

    if (__builtin_add_overflow(job->retry_from_ms, job->retry_delay_ms, &due))
        return INT64_MAX;
    return due;
}

/* When the next attempt is due, if the copy cannot be made; INT64_MAX: that is not for here. */
static int64_t attempt_due_ms(const struct attempt *attempt)
{
    return attempt->outcome == WARREN_RETRY ? attempt->retry_at_ms : INT64_MAX;
}

/* The settlement keeps the delivery until the receipt. What was not accepted has failed at once. */
static void relay(struct warren_job *job, const struct relay_facts *facts)
{
    struct attempt *attempt = job->attempt;
    enum warren_status status = WARREN_ENOMEM;

    owed_keep(attempt, facts, attempt_due_ms(attempt));
    if (!job->settlement)
        job->settlement = settlement_new(attempt, job->source->settled, job->source->user);
    if (job->settlement) {
        attempt->relay = RELAY_SENT;
        settlement_hold(job->settlement);
        status = relay_copy(job_relay_to(job), &attempt->delivery, facts, &job->arena,
                            settlement_relayed, job->settlement);
        if (status == WARREN_OK)
            return;
        settlement_unhold(job->settlement);
    }
    attempt->relay = RELAY_FAILED;
    attempt->relay_status = (int16_t)status;
}

static struct relay_facts facts_of(const struct warren_job *job)
{
    const struct attempt *attempt = job->attempt;

    return (struct relay_facts){.failed = attempt->failed,
                                .first_failure_s = (uint64_t)attempt->first_failure_s,
                                .left_ms = left_ms(job),
                                .trace = job->source->tracer ? job->traceparent : NULL,
                                .wait = true};
}

static void dead_letter(struct warren_job *job)
{
    struct relay_facts facts = facts_of(job);

    facts.failed += !job->forgiven;
    facts.last_failure_s = (uint64_t)(clock_wall_ms() / 1000);
    facts.reason = job->reason[0] ? job->reason : REASON_REJECTED;
    facts.error = warren_job_error(job);
    facts.signal = job->signal;
    facts.backtrace = job->backtrace;
    relay(job, &facts);
}

/* A place here costs the broker nothing; but the process may end, so the time is bounded. */
static bool keep_here(const struct warren_job *job)
{
    const struct relay *relay = job_relay_to(job);

    if (job->retry_delay_ms < 0 || is_draining(job))
        return false;
    if (relay && relay->into_queue && job->retry_delay_ms > job->hold_max_ms)
        return false;
    if (!job->source->reserve)
        return true;
    job->attempt->reserved = job->source->reserve(job->source->user);
    return job->attempt->reserved;
}

/* Forgiven because of what it could not publish: how often is known here alone. As those whose
 * messages were not confirmed, it needs no place: see the bounds. */
static bool waits_for_publisher(const struct warren_job *job)
{
    return job->untaken && job->forgiven && job->retry_delay_ms >= 0 && !is_draining(job);
}

/* Handing it back loses nothing: no attempt of this process counts. */
static bool may_hand_back(const struct warren_job *job)
{
    return job->attempt->failed == 0 && job->retry_delay_ms <= 0;
}

/* It has failed, and its next attempts are the slow lane's. */
static bool goes_slow(const struct warren_job *job, const struct relay *to)
{
    return to && to->slow_queue && job->attempt->outcome == WARREN_RETRY && !job->forgiven;
}

static void relay_again(struct warren_job *job, const char *to_queue)
{
    struct relay_facts facts = facts_of(job);

    facts.to_queue = to_queue;
    facts.delay_ms = job->retry_delay_ms > 0 ? job->retry_delay_ms : 0;
    if (job->retry_delay_ms >= 0)
        job->attempt->retry_at_ms = due_ms(job); /* if that fails */
    relay(job, &facts);
}

static void try_again(struct warren_job *job)
{
    const struct relay *to = job_relay_to(job);
    struct attempt *attempt = job->attempt;

    if (goes_slow(job, to)) {
        relay_again(job, to->slow_queue);
        return;
    }
    if (waits_for_publisher(job) || keep_here(job)) {
        attempt->retry_at_ms = due_ms(job);
    } else if (to && !to->into_queue) { /* it goes nowhere else: a place or not, it waits */
        attempt->retry_at_ms =
            job->retry_delay_ms >= 0 ? due_ms(job) : clock_now_ms(job->source->clock);
    } else if (to && !may_hand_back(job)) {
        relay_again(job, NULL);
    }
}

/* A stream would not give it again, and elsewhere those behind it would be in front of it: it waits
 * here, unless the process ends. */
static void requeue_here(struct warren_job *job)
{
    struct attempt *attempt = job->attempt;

    if (is_draining(job))
        return;
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    attempt->retry_at_ms = clock_now_ms(job->source->clock) + HERE_AGAIN_MS;
}

void job_relay(struct warren_job *job)
{
    const struct relay *to = job_relay_to(job);

    switch (job->attempt->outcome) {
    case WARREN_RETRY:
        count_failure(job);
        try_again(job);
        break;
    case WARREN_REQUEUE:
        job->retry_delay_ms = -1;
        if (to && !to->into_queue)
            requeue_here(job);
        else if (to && !job->attempt->suspect && !may_hand_back(job))
            try_again(job);
        break;
    case WARREN_REJECT:
        if (to && to->dead_exchange)
            dead_letter(job);
        break;
    default:
        break;
    }
}
