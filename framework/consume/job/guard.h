/* guard.h - runs the chain of one subscription under the eyes of the flight recorder, and what
 * becomes of messages that are suspected of having ended a process:
 *
 *   too many crashes (crash.max_attempts)   not run: rejected, with what is known of the last one
 *   killed a process, or may have           runs while nothing else of this process runs
 *   any, after falls in a row               the same (flight_recorder.h)
 *   ran over the hard limit                 runs like any other
 *
 * A delivery that came again while a handler still has the one before waits for that one's end: it
 * is looked at every GUARD_AGAIN_MS.
 * A batch runs as one message does, but for those of it that are suspected: who was in a batch that
 * crashed runs in one of half the size, and so on, until the one that did it is alone, and then is
 * as any other that crashed.
 * Where a plugin looks at messages on the event loop, the guard watches that, too; who has too many
 * crashes is not shown to it.
 * Thread: a worker's for guard_run(), the loop's for the rest. Owner: struct subscription embeds
 * one.
 */
#ifndef WARREN_CONSUME_GUARD_H
#define WARREN_CONSUME_GUARD_H

#include "consume/crash/flight_recorder.h"
#include "consume/job/chain.h"
#include "consume/job/job.h"
#include "consume/job/roster.h"

#define GUARD_AGAIN_MS 100

struct guard_options {
    struct flight *flight; /* NULL: there is none, and nothing is guarded */
    const char *queue;
    const char *handler;
    uint32_t concurrency;
    uint32_t batch; /* messages that a worker may have at once; 0 is 1 */
    bool ahead;     /* guard_shows() will be called */
    /** Wait until the broker knows of every ack so far. On a worker's thread. May be NULL. */
    void (*wait_for_acks)(void *user);
    void *user;
};

struct guard {
    struct guard_options options;
    struct flight *flight;
    struct roster workers;       /* struct flight_worker, one a worker thread */
    struct flight_worker *ahead; /* the loop's; NULL: none */
    uint64_t seed;               /* of identities */
    _Atomic uint32_t lost;
};

/** What @options refer to is borrowed. WARREN_OK; WARREN_ENOMEM; WARREN_EFULL: the recorder has no
 * more slots */
enum warren_status guard_init(struct guard *guard, const struct guard_options *options);
/** More worker threads, larger batches, or the loop's slot. As guard_init(); on failure nothing has
 * changed. Thread: that of flight_take(). */
enum warren_status guard_grow(struct guard *guard, uint32_t concurrency, uint32_t batch,
                              bool ahead);
/** Give the slots back: no worker runs, and the recorder is open. Thread: as flight_give_back(). */
void guard_give_back(struct guard *guard);
/** A zeroed one is fine. */
void guard_done(struct guard *guard);

/** The view of worker thread @index, or NULL. */
static inline struct flight_worker *guard_worker(const struct guard *guard, uint32_t index)
{
    return guard->flight ? roster_at(&guard->workers, index) : NULL;
}

/**
 * A plugin is about to look at @attempt on the event loop; guard_shown() when it has.
 *
 * @return  false: it must not, for guard_run() will reject it; then there is nothing to follow
 */
bool guard_shows(struct guard *guard, struct attempt *attempt);
void guard_shown(struct guard *guard);
/** Does the recorder know that the message of @attempt ended a process? Then it must not be copied.
 * On the loop's thread. */
bool guard_suspects(struct guard *guard, struct attempt *attempt);

/**
 * Run @chain for the delivery of @job, on the worker thread @index. Does not return if the thread
 * is given up meanwhile.
 */
enum warren_outcome guard_run(struct guard *guard, uint32_t index, struct warren_job *job,
                              const struct chain *chain);

/* ---- batches ---- */

/** Who a message of a batch may run with. */
enum guard_company {
    GUARD_ANYBODY,
    GUARD_FEW,   /* guard_message.most of its kind: it was in a batch that crashed */
    GUARD_NOBODY /* guard_run() has more to say of it */
};

/** One that is to run in a batch. */
struct guard_message {
    struct attempt *attempt;
    struct flight_batch_item item;
    uint32_t most; /* of GUARD_FEW */
};

/** Look at @message->attempt, and fill in the rest. Thread: a worker's, as the next one. */
enum guard_company guard_look(struct guard *guard, struct guard_message *message);

/** How many messages worker thread @index can run together. */
uint32_t guard_batch_max(const struct guard *guard, uint32_t index);

/**
 * As guard_run() for the @count messages of @batch, whose jobs have begun; 2 at least, and not more
 * than guard_batch_max(). Each answer is in its job.
 *
 * @few  they are GUARD_FEW: nothing else of the process runs meanwhile
 */
void guard_run_batch(struct guard *guard, uint32_t index, const struct guard_message *messages,
                     uint32_t count, bool few, struct warren_batch *batch);

/**
 * The job of worker thread @index has ended, too: what it leaves has shown what it is worth. To be
 * called after each guard_run() that returned; others may run then.
 */
void guard_ended(struct guard *guard, uint32_t index);

/** The attempt of @job, which had ended before, has this @outcome after all. */
void guard_judged(struct guard *guard, struct warren_job *job, enum warren_outcome outcome);

/** How a delivery leaves this process. */
enum guard_end {
    GUARD_SETTLED, /* for good */
    GUARD_COPIED,  /* settled, and a copy with its failed attempts comes in its place */
    GUARD_RETURNED /* the broker delivers it again, as it is */
};

/** @attempt leaves this process. */
void guard_left(struct guard *guard, struct attempt *attempt, enum guard_end end);

/** Deliveries whose thread is lost: they are never settled here. Thread: any. */
static inline uint32_t guard_lost(const struct guard *guard)
{
    return atomic_load_explicit(&guard->lost, memory_order_relaxed);
}

#endif
