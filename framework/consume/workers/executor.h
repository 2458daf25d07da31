/* executor.h - the worker threads of one subscription.
 *
 *   loop: push(batch) --> queue --> worker: run --> settled --> loop: take_settled()
 *
 * Workers take one delivery at a time, so a stuck handler holds back only its own message. What
 * costs is not the queue but waking threads (some 20 us each), so: a push wakes only as many idle
 * workers as its work is worth, by the average time a message took so far; and the loop is woken
 * only when it would not come by itself (struct loop_outlook).
 * Bound: the queue holds what the broker may send unsettled (prefetch), as the owner takes the
 * deliveries of an older channel out before it pushes those of a newer one.
 * Elsewhere: what is done with a delivery (chain.h), what the broker is told (settlement.h).
 */
#ifndef WARREN_CONSUME_EXECUTOR_H
#define WARREN_CONSUME_EXECUTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <warren/status.h>

#include "base/clock.h"
#include "consume/workers/batch.h"

struct executor;

/** The loop comes to executor_take_settled() at least so often while it is `looking`. */
#define EXECUTOR_LOOK_US 2000

/** What the loop will do by itself. Written by the loop, read by workers; outlives the executor. */
struct loop_outlook {
    atomic_bool looking; /* executor_take_settled() follows within EXECUTOR_LOOK_US */
};

/** What the owner does for the executor. */
struct executor_calls {
    /**
     * Handle @delivery and write its outcome. Runs on worker @worker, without a lock.
     *
     * @begun_ns  when this began, by the executor's clock
     * @return    true: it is settled; false: executor_settled() will be called for it
     */
    bool (*run)(void *user, uint32_t worker, struct delivery *delivery, int64_t begun_ns);
    /** The channel generation now; deliveries of another are not run. Thread: any. */
    uint32_t (*generation)(void *user);
    /** Will the loop come within half a millisecond, so that waking it is a waste? Thread: any. */
    bool (*loop_rests)(void *user);
    /** Have executor_take_settled() called soon. Thread: any. */
    void (*wake_loop)(void *user);
    /** Worker @worker begins its life, and ends it; on its thread. May be NULL. */
    void (*thread_begins)(void *user, uint32_t worker);
    void (*thread_ends)(void *user, uint32_t worker);
};

struct executor_options {
    const char *name; /* of the threads; copied */
    uint32_t concurrency;
    struct clock *clock;
    struct loop_outlook *outlook;
};

/** Start the threads. WARREN_OK; WARREN_ENOMEM or WARREN_EIO with @error. */
enum warren_status executor_new(const struct executor_options *options,
                                const struct executor_calls *calls, void *user,
                                struct executor **ret_executor, struct warren_error *error);

/**
 * Is nobody waiting for what is settled? Then a worker that falls asleep leaves it to the next look
 * of the loop, if one is sure to come, instead of waking it: that saves one wake-up a message where
 * traffic is thin. False at first. Thread: the loop's.
 */
void executor_roomy(struct executor *executor, bool roomy);

/** Queue all of @batch. Thread: the loop's. */
void executor_push(struct executor *executor, struct batch *batch);

/**
 * The guard against stragglers: wake one more worker if what was queued at the last look still is.
 *
 * @return true if it must be called again within EXECUTOR_LOOK_US: messages wait, and idle workers
 *         are there
 * Thread: the loop's.
 */
bool executor_look(struct executor *executor);

/** Append to @batch what is queued and was not begun; the caller owns it. Thread: any. */
void executor_take_queued(struct executor *executor, struct batch *batch);

/** Append to @batch what is settled, outcome written; the caller owns it. Thread: the loop's. */
void executor_take_settled(struct executor *executor, struct batch *batch);

/** A delivery for which run() returned false is settled now. Thread: any. */
void executor_settled(struct executor *executor, struct delivery *delivery);

/** How many messages are being handled and how many wait. Thread: any. */
void executor_load(struct executor *executor, uint32_t *running, uint32_t *queued);

/**
 * End the threads, free. No handler may be running, and what was queued and settled must have been
 * taken. NULL is fine.
 */
void executor_free(struct executor *executor);

#endif
