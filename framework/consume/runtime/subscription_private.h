/* subscription_private.h - what subscription.c (life, events of parts), subscription_flow.c
 * (there and back), subscription_owed.c (copies) and subscription_drain.c (the end) share. Thread:
 * the loop's.
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_PRIVATE_H
#define WARREN_CONSUME_SUBSCRIPTION_PRIVATE_H

#include "base/counter.h"
#include "consume/job/crew.h"
#include "consume/relay/owed.h"
#include "consume/runtime/admission.h"
#include "consume/runtime/runtime_private.h"
#include "consume/runtime/stage.h"

#define SUBSCRIPTION_STATES 3

/* Of the same counts, when somebody reads: series, and nothing else. */
struct subscription_metrics {
    struct warren_series *received;
    struct warren_series *redelivered;
    struct warren_series *settled[WARREN_REQUEUE + 1];
    struct warren_series *retries[2]; /* in memory, on the broker */
    struct warren_series *dead_letters;
    struct warren_series *stale;
    struct warren_series *unfit;
    struct warren_series *copies_failed;
    struct warren_series *in_flight[SUBSCRIPTION_STATES];
    struct warren_series *prefetch;
    struct warren_series *workers;
    struct warren_series *consuming;
    struct warren_series *ack_frames;
    struct warren_series *byte_pauses;
    struct warren_series *recoveries;
    struct warren_series *unsettled_bytes;
    struct warren_series *prefetch_bytes;
    struct warren_series *prefetch_reached;
    struct warren_series *unconfirmed;
    struct warren_series *retries_held;
    struct warren_series *retries_held_max;
    struct warren_series *retries_full;
    struct warren_series *copies_owed;
};

struct subscription {
    struct runtime *runtime;
    struct consumer *consumer;
    struct runner *runner;
    struct job_source source;
    struct relay relay; /* of the source, if there is a publisher */
    struct crew crew;
    uint32_t prefetch;
    size_t prefetch_bytes; /* 0: no bound */
    uint32_t ack_many;

    struct batch arrived;       /* since the last turn */
    struct admission admission; /* of this generation alone */
    struct stages stages;
    struct delay
        owed; /* what waits for a copy, by when it is tried next; of this generation alone */
    struct loop_timer owe;
    struct random random;    /* of these delays */
    int64_t reported_ms[2];  /* the last report of such a failure: of a retry, a dead letter; 0 */
    bool owing;              /* one was reported since all were confirmed */
    struct loop_timer admit; /* for admission_next_ms() */
    int64_t admit_ms;        /* when it is armed for; INT64_MAX: it is not */
    uint32_t generation;     /* of what was pushed last */
    uint32_t in_flight;
    bool is_stream; /* the queue */
    bool started;
    bool suspended;
    bool draining;
    bool cancelled; /* the broker has answered the cancel of draining */
    bool proving;
    struct subscription_metrics metrics;
    /* Read by any thread: see base/counter.h. */
    _Atomic uint64_t counts[COUNTS];
    _Atomic uint64_t prefetch_reached;
    _Atomic uint32_t held;
    _Atomic uint32_t copies_owed; /* of these */
    atomic_bool consuming;
};

static inline int64_t subscription_now_ms(const struct subscription *s)
{
    return clock_now_ms(s->source.clock);
}

static inline void subscription_count(struct subscription *s, unsigned count)
{
    counter_add(&s->counts[count], 1);
}

/* What is held has changed: for who reads. */
static inline void subscription_note_held(struct subscription *s)
{
    atomic_store_explicit(&s->copies_owed, s->owed.count, memory_order_relaxed);
    atomic_store_explicit(&s->held, admission_count(&s->admission) + s->owed.count,
                          memory_order_relaxed);
}

/* ---- subscription_metrics.c ---- */

void subscription_metrics_init(struct subscription *subscription);
/** A zeroed one is fine. */
void subscription_metrics_done(struct subscription *subscription);

/* ---- subscription_owed.c ---- */

/** @attempt comes from the workers, and a copy was published in its place, or should have been. */
void subscription_relayed(struct subscription *subscription, struct attempt *attempt);
/**
 * Publish a copy of @attempt, whose receipt settles it; or mark that as failed.
 *
 * @return false: it was not accepted
 */
bool subscription_publish_copy(struct subscription *subscription, struct attempt *attempt,
                               const struct relay_facts *facts, struct arena *scratch);
/** The same of one that goes back without its copy: report it. */
void subscription_not_copied(struct subscription *subscription, struct attempt *attempt);
/** @attempt, whose copy has failed, waits for the next one. @return false: there is no room */
bool subscription_owe(struct subscription *subscription, struct attempt *attempt);
/** Append all that waits for a copy to @batch. */
void subscription_take_owed(struct subscription *subscription, struct batch *batch);
/** The timer: a copy is due. @arg: the subscription. */
void subscription_copy_due(void *arg);

/* ---- subscription_drain.c ---- */

/**
 * Draining: publish copies of those in @batch whose attempts would be forgotten; they leave the
 * batch, and come back from the runner.
 */
void subscription_relay_counted(struct subscription *subscription, struct batch *batch);

/* ---- subscription_flow.c ---- */

/** Settle all of @batch with @outcome. @return how many */
uint32_t subscription_settle_as(struct subscription *subscription, struct batch *batch,
                                enum warren_outcome outcome);
/** What is held of a channel that is gone: the broker delivers it again. */
void subscription_drop_stale(struct subscription *subscription);
/** The timer: a retry is due, or a gate is to be asked again. @arg: the subscription. */
void subscription_admit(void *arg);

#endif
