/* runtime_private.h - what the parts of a runtime share: runtime.c, runtime_turn.c, drain.c,
 * and its subscriptions. Thread: the loop's. */
#ifndef WARREN_CONSUME_RUNTIME_PRIVATE_H
#define WARREN_CONSUME_RUNTIME_PRIVATE_H

#include <pthread.h>

#include "amqp/topology/limit_probe.h"
#include "amqp/topology/topology.h"
#include "base/condition.h"
#include "base/counter.h"
#include "base/flap.h"
#include "base/metrics.h"
#include "consume/job/crew.h"
#include "consume/relay/relay.h"
#include "consume/runtime/admission.h"
#include "consume/runtime/depth_look.h"
#include "consume/runtime/look.h"
#include "consume/runtime/stage.h"
#include "consume/runtime/subscription.h"
#include "loop/loop.h"

/* ---- ack_barrier.c: lets a worker thread wait until all that was handled is settled, and the
 * broker knows of every ack so far: before a message runs that may kill the process, for those
 * whose acks were not sent would be handled twice ---- */

struct runtime;

/** Longest wait: a receipt may not come, and without a connection there is nobody to know. */
#define ACK_BARRIER_MS 2000

struct ack_barrier {
    struct runtime *runtime;
    struct loop_task begin;
    struct loop_timer again; /* while something that was handled is not settled */
    int64_t give_up_ms;      /* 0: that is not so */
    uint32_t barriers;       /* that the broker has not answered; all four the loop's */

    pthread_mutex_t lock; /* guards the next block */
    struct condition answered;
    uint64_t asked_count;
    uint64_t begun_count;
    uint64_t answered_count;
};

/** Of @runtime, which has its loop. WARREN_OK or WARREN_ENOMEM. */
enum warren_status ack_barrier_init(struct ack_barrier *ack_barrier, struct runtime *runtime);
/** A zeroed one is fine. */
void ack_barrier_done(struct ack_barrier *ack_barrier);

/** Wait, for ACK_BARRIER_MS at most. Thread: a worker's, alone in the exclusive gate. */
void ack_barrier_wait(struct ack_barrier *ack_barrier);

/* ---- look.c: what is seen of a subscription ---- */

/** WARREN_OK or WARREN_ENOMEM; look_done() in any case. */
enum warren_status look_init(struct runtime *runtime, const struct config_topology *topology);
void look_done(struct runtime *runtime);
/** The broker was asked about @queue. */
void look_depth(struct runtime *runtime, const char *queue, const struct depth *depth);

/* ---- limit_look.c: has a queue that is consumed, and that this worker did not declare as it
 * wanted, a limit of deliveries? Each is asked about once, one after the other, when it is first
 * consumed; what is found is the event limited ---- */

/** All zero at first; limit_probe_done() ends it. */
struct limit_look {
    struct limit_probe probe;
    size_t next; /* subscription to be asked about */
};

/** The topology is declared: look, or go on. Harmless to repeat. */
void limit_look_go_on(struct runtime *runtime);

enum drain_phase {
    DRAIN_NOT,
    DRAIN_CANCELLING, /* the broker was asked to send no more */
    DRAIN_RUNNING,    /* waiting for handlers, and for the receipts of what they published */
    DRAIN_PROVING,    /* acks are sent: did they arrive? */
    DRAIN_CLOSING,
    DRAIN_DONE
};

struct drain {
    enum drain_phase phase;
    struct loop_task step;   /* look whether the next phase can begin */
    struct loop_timer timer; /* ends the waiting for handlers, then everything */
    struct loop_timer pause; /* before what is left is handed back, and before the close */
    bool grace_over;         /* hand back although handlers run */
    bool handlers_given_up;
    int64_t quiet_until_ms; /* do not close sooner */
    int64_t begin_ms;       /* by the loop's clock, as the next one */
    int64_t end_ms;
    int64_t answer_ms; /* the longest time of a cancel-ok */
    uint32_t handed_back;
    uint32_t unfinished;
    enum warren_status status;
};

struct runtime_metrics {
    struct metric_collector collector;
    struct warren_series *bytes;
    struct warren_series *bytes_max;
    struct warren_series *full;
    struct warren_series *connects;
    struct warren_series *losses;
    struct warren_series *connected;
};

struct runtime {
    struct runtime_events events;
    void *user; /* of the events */
    struct loop_outlook outlook;
    _Atomic int64_t deadline_ms; /* of handlers, while draining; INT64_MAX: none */
    struct loop *loop;
    struct connection *connection;
    struct topology *topology;
    struct limit_look limits;
    struct depth_look depths;
    struct subscription_look *looks; /* one a subscription, */
    pthread_mutex_t look_lock;       /* which guards them; */
    atomic_bool looked;              /* they are written */
    struct subscription **subscriptions;
    size_t subscription_count;
    size_t memory_max;
    uint32_t straggler_age_ms;
    uint32_t drain_timeout_ms;
    struct flight *flight; /* NULL: none */
    struct ack_barrier ack_barrier;

    struct loop_task collect;
    struct loop_task stop;
    struct loop_task abort;
    struct loop_timer tick;       /* while outlook.looking */
    struct loop_timer stragglers; /* while acks wait behind a message that is not done */
    struct loop_timer redeclare;
    struct loop_timer slow; /* while declaring: the time to say how far that is */
    bool declaring;
    bool memory_full;
    struct flap memory_reported;
    struct loop_timer memory_due; /* to report it */
    _Atomic uint64_t memory_fills;
    _Atomic uint64_t connects;
    _Atomic uint64_t losses;
    atomic_bool connected;
    struct runtime_metrics metrics;
    struct failure_groups failures;
    struct drain drain;

    pthread_t thread;
    bool started;
};

/* ---- runtime.c ---- */

/** Have runtime_collect() called soon. Thread: any. */
void runtime_wake(struct runtime *runtime);
/** The topology may have changed: declare it again before long. */
void runtime_redeclare_soon(struct runtime *runtime);

/* ---- runtime_metrics.c ---- */

/** Everything else is there. */
void runtime_metrics_init(struct runtime *runtime);
/** Nobody reads from then on. A zeroed one is fine. */
void runtime_metrics_done(struct runtime *runtime);

/* ---- runtime_turn.c ---- */

enum warren_status runtime_turn_init(struct runtime *runtime);
void runtime_turn_done(struct runtime *runtime);
/** All of one read has come. */
void runtime_turn(struct runtime *runtime);
/** Settle and send everything that can be. @return how many deliveries were settled */
uint32_t runtime_collect(struct runtime *runtime);
/** Messages went to the workers: look for what they settle. */
void runtime_keep_looking(struct runtime *runtime);
/** The sum over all subscriptions. */
uint32_t runtime_sum(const struct runtime *runtime, uint32_t (*of)(const struct subscription *));
/** Deliveries that are not settled, but those whose thread is lost. */
uint32_t runtime_in_flight(const struct runtime *runtime);

/* ---- drain.c ---- */

enum warren_status drain_init(struct runtime *runtime);
void drain_done(struct runtime *runtime);
/** Begin, unless it has begun. */
void drain_begin(struct runtime *runtime);
/** Acks are to leave together, once the handlers that run have finished. */
bool drain_keeps_acks(const struct runtime *runtime);
/** Something changed: see later on this turn whether the next phase can begin. */
void drain_progress(struct runtime *runtime);
/** End with @status as soon as the connection is dropped. */
void drain_abort(struct runtime *runtime, enum warren_status status);
/** connection_events.closed. */
void drain_closed(struct runtime *runtime);

/* ---- subscription*.c ---- */

#define SUBSCRIPTION_STATES 3

/* Of the same counts, when somebody reads: series, and nothing else. */
struct subscription_metrics {
    struct warren_series *received;
    struct warren_series *redelivered;
    struct warren_series *settled[WARREN_REQUEUE + 1];
    struct warren_series *retries[2]; /* in memory, on the broker */
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

/* What look.c remembers from one look to the next. */
struct subscription_watch {
    struct depth depth;       /* of its queue */
    uint64_t depth_delivered; /* messages that had come by then */
    int64_t stuck_ms;         /* since when the queue did not shrink although there was room here;
                                 0: it is not so */
    uint64_t delivered;       /* by the last look, */
    int64_t since_ms;         /* and since when it is as many */
    bool declared;            /* the queue, by the topology: its arguments are known */
    bool single_active;       /* it stands in the topology with a single active consumer, */
    bool counts_all;          /* and is of a kind that counts those that wait behind it, too */
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
    struct subscription_watch watch;
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
