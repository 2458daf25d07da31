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
#include "consume/attempt/gather.h"
#include "consume/job/crew.h"
#include "consume/relay/relay.h"
#include "consume/runtime/admission.h"
#include "consume/runtime/depth_look.h"
#include "consume/runtime/look.h"
#include "consume/runtime/shards.h"
#include "consume/runtime/stage.h"
#include "consume/runtime/subscription.h"
#include "consume/runtime/subscription_fair.h"
#include "consume/runtime/subscription_lane.h"
#include "consume/runtime/subscription_order.h"
#include "consume/runtime/subscription_pool.h"
#include "consume/runtime/subscription_threads.h"
#include "consume/workers/pool.h"
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
enum warren_status look_init(struct runtime *runtime);
/** There is room for the looks at so many subscriptions. WARREN_OK or WARREN_ENOMEM. */
enum warren_status look_reserve(struct runtime *runtime, size_t count);
/** What the topology says of the queue of @subscription. */
void look_declared(struct subscription *subscription, const struct config_topology *topology);
void look_done(struct runtime *runtime);
/** The broker was asked about @queue. */
void look_depth(struct runtime *runtime, const char *queue, const struct depth *depth);

/* ---- limit_look.c: has a queue that is consumed, and that this worker did not declare as it
 * wanted, a limit of deliveries? Each is asked about once, one after the other, when it is first
 * consumed; what is found is the event limited ---- */

/** All zero at first; limit_probe_done() ends it. */
struct limit_look {
    struct limit_probe probe;
    const char *queue; /* that is asked about */
};

/** The topology is declared: look, or go on. Harmless to repeat. */
void limit_look_go_on(struct runtime *runtime);

enum drain_phase {
    DRAIN_NOT,
    DRAIN_CANCELLING, /* the broker was asked to send no more */
    DRAIN_RUNNING,    /* waiting for handlers, and for the receipts of what they published; and for
                         the proof that the acks arrived */
    DRAIN_CLOSING,
    DRAIN_DONE
};

/* The end of one subscription: with all others, or because a reload took it away. */
enum leave_phase {
    LEAVE_NOT,
    LEAVE_CANCELLING, /* the broker was asked to send no more */
    LEAVE_RUNNING,    /* waiting for handlers, and for the receipts of what they published */
    LEAVE_PROVING,    /* acks are sent: did they arrive? */
    LEAVE_DONE
};

/* See subscription_aside.c. */
enum aside { ASIDE_NOT, ASIDE_LEAVING, ASIDE_AWAY };

struct leaving {
    enum leave_phase phase;
    struct loop_timer pause; /* before what is left is handed back, and before the end */
    bool grace_over;         /* hand back although handlers run */
    int64_t quiet_until_ms;  /* do not close sooner */
    uint32_t handed_back;
};

struct drain {
    enum drain_phase phase;
    struct loop_task step;   /* look whether the next phase can begin */
    struct loop_timer timer; /* ends the waiting for handlers, then everything */
    bool handlers_given_up;
    int64_t end_ms; /* by the loop's clock */
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

/* An edition (consume/job/edition.h), and what the loop has of it. */
struct subscription_edition {
    struct edition edition; /* first: its address is the edition's */
    struct subscription *subscription;
    struct stages stages;
    struct chain_member *gates; /* until it is that of the day: then they are the admission's */
    size_t gate_count;
    uint32_t users; /* attempts that are in it */
    void *token;    /* for runtime_events.retired */
    struct list link;
};

static inline struct subscription_edition *edition_of(const struct attempt *attempt)
{
    return (struct subscription_edition *)(void *)attempt->edition;
}

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
    struct subscription_look *looks; /* one a subscription that does not leave, */
    size_t look_count;               /* as they were when they were looked at */
    size_t look_room;
    pthread_mutex_t look_lock; /* guards these three */
    struct list lanes;         /* struct lanes */
    struct list shards;        /* struct shards */
    struct subscription **subscriptions;
    size_t subscription_count;
    size_t subscription_room;
    pthread_mutex_t list_lock; /* of the list above, of `ended`, and of what follows: other threads
                                  take it to read, the loop to change */
    size_t leaving_count;      /* taken away by a reload, and not yet ended, or standing aside, and
                                  not yet away; the loop's */
    struct subscription **ended; /* taken away by a reload: counts, and the memory, are left */
    size_t ended_count;
    _Atomic size_t memory_max;
    size_t message_max;
    uint32_t straggler_age_ms;
    uint32_t drain_timeout_ms;
    struct flight *flight; /* NULL: none */
    struct warren_publisher *publisher;
    struct tracer *tracer;
    struct ack_barrier ack_barrier;
    struct pool pool; /* of groups of functions */
    struct pools pools;
    struct executor **executors; /* that subscriptions have asked for */
    size_t executor_count;
    struct semaphores semaphores;

    struct loop_task collect;
    struct loop_task stop;
    struct loop_task abort;
    struct loop_timer tick;       /* while outlook.looking */
    struct loop_timer stragglers; /* while acks wait behind a message that is not done */
    struct loop_timer redeclare;
    struct loop_timer retire;
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

extern const struct topology_events runtime_topology_events;
/** Declare the topology, if there is a connection; then subscriptions that are new begin. */
void runtime_declare(struct runtime *runtime);
/** A subscription that has left is taken off the list, and its threads end. */
void runtime_end_subscription(struct runtime *runtime, size_t index);
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
    struct warren_series *batches[GATHER_CLOSED];
    struct warren_series *batch_messages;
};

/* What look.c remembers from one look to the next. */
struct subscription_watch {
    struct depth depth;       /* of its queue */
    uint64_t depth_delivered; /* messages that had come by then */
    int64_t stuck_ms;         /* since when the queue did not shrink although there was room here;
                                 0: it is not so */
    uint64_t delivered;       /* by the last look, */
    int64_t since_ms;         /* and since when it is as many */
    bool known;               /* what follows was looked up: */
    bool declared;            /* the queue, by the topology: its arguments are known */
    bool single_active;       /* it stands in the topology with a single active consumer, */
    bool counts_all;          /* and is of a kind that counts those that wait behind it, too */
};

/* See subscription_uses.c. */
struct subscription_uses {
    struct semaphore_wait wait; /* the place of the first of: */
    struct batch waiting;
    bool stands;               /* in the line, or granted and not yet seen */
    atomic_uint waiting_count; /* of that batch */
    atomic_uint out;           /* attempts that have weights */
};

/* See subscription_batch.c. */
struct subscription_gather {
    struct gather gather;
    struct loop_timer due;
    int64_t due_ms;    /* when it is armed for; INT64_MAX: it is not */
    atomic_uint out;   /* batches that are closed, and not done */
    atomic_bool waits; /* the open one waits for a worker that is free */
    /* Read by any thread: see base/counter.h. */
    _Atomic uint64_t closed[GATHER_CLOSED];
    _Atomic uint64_t messages; /* in these */
};

struct subscription {
    struct runtime *runtime;
    struct consumer *consumer;
    struct runner *runner;
    struct job_source source;
    struct crew crew;
    struct subscription_edition
        *edition;         /* that of the day; NULL: it has ended, and that is gone */
    struct list editions; /* all, the oldest first */
    _Atomic uint32_t prefetch;
    _Atomic size_t prefetch_bytes; /* 0: no bound */
    _Atomic uint32_t concurrency;  /* worker threads that there are to be now */
    struct subscription_pool pool;
    uint32_t ack_many;

    struct batch arrived;             /* since the last turn */
    struct subscription_order *order; /* NULL: none */
    struct subscription_fair *fair;   /* NULL: none */
    struct subscription_lane *lane;   /* NULL: it has no lanes */
    struct shards *shards;            /* NULL: it is no shard */
    uint32_t shard;                   /* which one */
    enum aside aside;                 /* of a shard: then it is `draining`, too */
    struct admission admission;       /* of this generation alone */
    struct subscription_gather gather;
    struct subscription_uses uses;
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
    atomic_bool turn_waits; /* messages wait for others to be handled: for workers */
    atomic_bool leaves;     /* the same, for workers */
    atomic_bool taken_away; /* by a reload */
    atomic_bool stands_by;  /* a shard that is known to be another worker's, or begins */
    bool cancelled;         /* the broker has answered the cancel of draining */
    bool proving;
    bool limit_asked; /* see limit_look.h */
    bool ended;       /* nothing of it runs any more; under the runtime's list_lock, as is: */
    stream_begin last_begin;
    struct leaving leave;
    struct subscription_watch watch;
    struct subscription_metrics metrics;
    /* Read by any thread: see base/counter.h. */
    _Atomic uint64_t counts[COUNTS];
    _Atomic uint64_t prefetch_reached;
    _Atomic uint32_t held;
    _Atomic uint32_t copies_owed; /* of these */
    atomic_bool consuming;
};

/* Those that are ahead of the runner, with all that looks at them behind them. */
static inline uint32_t subscription_gathered(const struct subscription *s)
{
    return s->gather.gather.open.count + s->uses.waiting.count;
}

static inline int64_t subscription_now_ms(const struct subscription *s)
{
    return clock_now_ms(s->source.clock);
}

static inline void subscription_count(struct subscription *s, unsigned count)
{
    counter_add(&s->counts[count], 1);
}

/* How many wait for others, before the gates. */
static inline uint32_t subscription_ahead(const struct subscription *s)
{
    return subscription_lined(s) + subscription_fair_waiting(s) + subscription_lane_waiting(s);
}

/* What is held has changed: for who reads. */
static inline void subscription_note_held(struct subscription *s)
{
    atomic_store_explicit(&s->copies_owed, s->owed.count, memory_order_relaxed);
    atomic_store_explicit(&s->held,
                          admission_count(&s->admission) + subscription_gathered(s) +
                              s->owed.count + subscription_ahead(s),
                          memory_order_relaxed);
}

static inline const struct relay *subscription_relay_to(const struct subscription *s)
{
    return s->edition->edition.has_relay ? &s->edition->edition.relay : NULL;
}

/* ---- subscription_edition.c ---- */

/** WARREN_OK or WARREN_ENOMEM. Not in the list yet. */
enum warren_status subscription_edition_new(struct subscription *subscription,
                                            const struct runtime_subscription *what,
                                            const struct stages_calls *calls,
                                            struct subscription_edition **ret);
/** Those of @batch, which come from the admission, begin in the edition of the day; to @refused
 * for which there is no memory. */
void subscription_begin_edition(struct subscription *subscription, struct batch *batch,
                                struct batch *refused);
/** @attempt is settled, or held: it is in no edition any more. Harmless to repeat. */
void subscription_end_edition(struct subscription *subscription, struct attempt *attempt);
/** All of @batch is in editions, and no handler was called: they leave these. */
void subscription_begin_again(struct subscription *subscription, struct batch *batch);
/** How many wait for an answer of a `before`. */
uint32_t subscription_waiting(const struct subscription *subscription);
/** Editions that are over are the owner's: a timer's function, and arming it. */
void runtime_retire(void *arg);
void runtime_retire_soon(struct runtime *runtime, int64_t ms);

/* ---- subscription_change.c ---- */

/** What is made ahead of a change: all zero at first. */
struct subscription_change {
    struct subscription *subscription;
    const struct runtime_subscription *what;
    struct subscription_edition *edition; /* NULL: that of the day stays */
    bool other_arguments;
    struct batch queued; /* taken from the runner while there are more workers */
    bool grown;
    uint32_t before; /* workers, */
    uint32_t size;   /* and how many there are to be */
};
/** All that can fail. On failure subscription_change_undo(). */
enum warren_status subscription_change_prepare(struct subscription_change *change,
                                               struct warren_error *error);
void subscription_change_undo(struct subscription_change *change);
void subscription_change_commit(struct subscription_change *change);

/* ---- subscription_metrics.c ---- */

void subscription_metrics_init(struct subscription *subscription);
/** A zeroed one is fine. */
void subscription_metrics_done(struct subscription *subscription);

/* ---- subscription.c ---- */

/** What its stages ask for. */
extern const struct stages_calls subscription_stages_calls;
/** Places for failed attempts, and deliveries that can be held in all. */
void subscription_places(const struct runtime_subscription *what, uint32_t *ret_delayed_max,
                         uint32_t *ret_held_max);
/** What the consumer is to have. */
struct consumer_options subscription_consumer_options(const struct subscription *subscription,
                                                      const struct runtime_subscription *what);
/** Acks that are worth a frame under load. */
uint32_t subscription_ack_many(const struct runtime_subscription *what);
/** End its threads, close its channel. Nothing may be unsettled. */
void subscription_end(struct subscription *subscription);

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

/* ---- subscription_batch.c ---- */

/** Of `batch:`; 0: none, or the handler takes none. In subscription_edition.c. */
uint32_t subscription_batch_size(const struct runtime_subscription *what);
/** Those of @batch, which the stages let through, go to the workers, or are gathered. */
void subscription_to_workers(struct subscription *subscription, struct batch *batch);
/** Those that are gathered: close the batch if it is time. */
void subscription_gather_look(struct subscription *subscription);
/** The timer: the first one has waited. @arg: the subscription. */
void subscription_gather_due(void *arg);
/** A batch is done, or will not be run as such. Thread: any. */
void subscription_batch_done(struct subscription *subscription);
/** @attempt comes back from the runner, and none has run it. Thread: the loop's. */
void subscription_unbatch(struct subscription *subscription, struct attempt *attempt);
/** Append all that are gathered to @batch. */
void subscription_take_gathered(struct subscription *subscription, struct batch *batch);

/* ---- subscription_uses.c ---- */

void subscription_uses_init(struct subscription *subscription);
/** Those of @batch go to the runner, or wait for semaphores. */
void subscription_to_runner(struct subscription *subscription, struct batch *batch);
/** Those that wait: as many as may go now. */
void subscription_weigh(struct subscription *subscription);
/** @attempt was not run, or has: what it still has of semaphores is given back. Harmless to
 * repeat; before it leaves its edition. */
void subscription_unweigh(struct subscription *subscription, struct attempt *attempt);
/** Of job_source. Thread: a worker's. */
void subscription_unweighed(void *user);
/** Append all that wait for semaphores to @batch, all of which has none from now on, and is in no
 * batches. */
void subscription_take_uses(struct subscription *subscription, struct batch *batch);

/* ---- subscription_pool.h ---- */

/** Messages go to workers: look how many of these there should be. */
static inline void runtime_watch_pools(struct runtime *runtime)
{
    if (runtime->pools.count > 0 && !runtime->pools.looking)
        runtime_begin_pools(runtime);
}

/* ---- subscription_drain.c ---- */

/**
 * Draining: publish copies of those in @batch whose attempts would be forgotten; they leave the
 * batch, and come back from the runner.
 */
void subscription_relay_counted(struct subscription *subscription, struct batch *batch);

/* ---- subscription_aside.c ---- */

/** @subscription, which is a shard, and is being made, is not wanted. */
void subscription_stand_aside_first(struct subscription *subscription);
/** Is that shard to be here? Harmless to repeat; one that is just leaving is not back before it is
 * asked for again. */
void subscription_want(struct subscription *subscription, bool wanted);
/** It was leaving, and has left. */
void subscription_is_away(struct subscription *subscription);

/* ---- subscription_away.c ---- */

/** Of a fair subscription: those that are too many, or wait for too long, go away. */
void subscription_send_away(struct subscription *subscription);
/** The copy of one has ended: was it confirmed? */
void subscription_away_ended(struct subscription *subscription, bool moved);

/* ---- subscription_move.c ---- */

/**
 * Publish a copy of @attempt, which was not run, whose receipt settles it.
 *
 * @to_queue  NULL: its own
 * @return    false: it stays, for it was not accepted, or must not be copied
 */
bool subscription_move(struct subscription *subscription, struct attempt *attempt, enum move move,
                       const char *to_queue, int64_t delay_ms, struct arena *scratch);
/** @attempt comes back, and its copy has ended. @return false: it is to be settled; true: it waits
 * for its turn again */
bool subscription_moved(struct subscription *subscription, struct attempt *attempt);

/* ---- subscription_turn.c ---- */

/** Those of @batch that have to wait for their turn leave it, and do. @again: each was tried, and
 * its next attempt is due. */
void subscription_turn_enter(struct subscription *subscription, struct batch *batch, bool again);
/** Append all that wait to @batch. */
void subscription_turn_take(struct subscription *subscription, struct batch *batch);
/** How many wait. */
uint32_t subscription_turn_waiting(const struct subscription *subscription);
/** Those whose turn it is go on. Harmless to repeat. */
void subscription_turns(struct subscription *subscription);
/** Could one go, as far as those are concerned that wait? And that one. */
bool subscription_turn_ready(struct subscription *subscription);
struct attempt *subscription_turn_next(struct subscription *subscription);
/** All of @go, which may be empty, were let go. */
void subscription_turned(struct subscription *subscription, struct batch *go);
/** What waits has changed: for who reads. */
void subscription_turn_note(struct subscription *subscription);
/**
 * How many are on their way to workers, or with them.
 *
 * @ret_with_workers  those that have passed gates, stages and semaphores
 */
uint32_t subscription_on_the_way(const struct subscription *subscription,
                                 uint32_t *ret_with_workers);

/* ---- subscription_flow.c ---- */

/** Is its channel gone? Then the broker gives it again. */
bool subscription_is_stale(const struct subscription *subscription, const struct attempt *attempt);
/** What waits before the workers has changed: see to the timer for that. */
void subscription_watch(struct subscription *subscription);
/** Those of @batch, whose turn it is, go to the gates. */
void subscription_to_gates(struct subscription *subscription, struct batch *batch);

/** Those of @batch go to the workers, past the gates. @return how many came to rest on the way */
uint32_t subscription_go_on(struct subscription *subscription, struct batch *batch);
/** The same by way of its turn and the gates, for those that come from nowhere else. */
void subscription_admit_these(struct subscription *subscription, struct batch *batch);
/** Settle all of @batch with @outcome. @return how many */
uint32_t subscription_settle_as(struct subscription *subscription, struct batch *batch,
                                enum warren_outcome outcome);
/** What is held of a channel that is gone: the broker delivers it again. */
void subscription_drop_stale(struct subscription *subscription);
/** The timer: a retry is due, or a gate is to be asked again. @arg: the subscription. */
void subscription_admit(void *arg);

#endif
