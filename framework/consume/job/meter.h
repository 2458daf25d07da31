/* meter.h - what is counted of the messages of one subscription, message by message, on the thread
 * that knows: how long they waited and took, why attempts failed. Totals that the runtime counts
 * anyway become series when they are read (consume/runtime/subscription_metrics.c).
 * Thread: see each. Owner: struct crew embeds one. Elsewhere: the registry (base/metrics.h).
 */
#ifndef WARREN_CONSUME_METER_H
#define WARREN_CONSUME_METER_H

#include "base/metrics.h"
#include "consume/job/job.h"

/** Why an attempt failed: the values of the label `reason`. */
enum failure_reason {
    FAILURE_ERROR,
    FAILURE_REJECTED,
    FAILURE_ATTEMPTS,
    FAILURE_AGE,
    FAILURE_BREAKER,
    FAILURE_CRASH,
    FAILURE_RETURNED,
    FAILURE_OTHER, /* that of a plugin's middleware */
    FAILURE_REASONS
};

struct meter {
    struct warren_series *bytes;
    struct warren_series *queue_wait;
    struct warren_series *handler_time;
    struct warren_series *critical_time;
    struct warren_series *duplicates;
    struct warren_series *failures[FAILURE_REASONS];
    struct warren_series *dead_letters[FAILURE_REASONS];
};

/** Texts are borrowed for the call. */
void meter_init(struct meter *meter, const char *queue, const char *handler);
/** A zeroed one is fine. */
void meter_done(struct meter *meter);

/** A message came, of @body_len bytes. Thread: the loop's. */
static inline void meter_arrived(struct meter *meter, size_t body_len)
{
    warren_count(meter->bytes, (double)body_len);
}

/** An attempt begins; the first of a message tells how long it waited. Thread: a worker's, as the
 * next two are. */
static inline void meter_begun(struct meter *meter, const struct attempt *attempt, int64_t begun_ns)
{
    if (attempt->first_ns == 0)
        warren_observe(meter->queue_wait, (double)(begun_ns - attempt->arrived_ns) * 1e-9);
}

/** Why an attempt that has not succeeded did not, in a word. */
const char *meter_reason(const struct warren_job *job, enum warren_outcome outcome);
/** The attempt of @job has this @outcome. Before job_end(). */
void meter_ended(struct meter *meter, struct warren_job *job, enum warren_outcome outcome);

static inline void meter_ran(struct meter *meter, int64_t took_ns)
{
    warren_observe(meter->handler_time, (double)took_ns * 1e-9);
}

/** A copy of @attempt is in the dead-letter exchange. Thread: the loop's. */
static inline void meter_dead_lettered(struct meter *meter, const struct attempt *attempt)
{
    warren_count(meter->dead_letters[attempt->reason], 1);
}

/** @attempt leaves for good, or its copy goes on. Thread: the loop's. */
void meter_settled(struct meter *meter, const struct attempt *attempt);

#endif
