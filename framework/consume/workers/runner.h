/* runner.h - who runs the handler of one subscription, and how deliveries get there and back.
 *
 *   loop: push(batch) > [a runner: each is run, its outcome written] > settled > take_settled()
 *
 * What differs between runners is struct runner_ops, of which the loop needs one call a batch. The
 * way back is the same for all: a stack from many threads to the loop, without a lock, and the
 * question whether the loop must be woken for it.
 * Bound: a runner holds what the broker may send unsettled (prefetch), as the owner takes the
 * deliveries of an older channel out before it pushes those of a newer one.
 * Elsewhere: threads of this process (threads.h), what is done with a delivery (chain.h), what the
 * broker gets (settlement.h).
 */
#ifndef WARREN_CONSUME_RUNNER_H
#define WARREN_CONSUME_RUNNER_H

#include <stdatomic.h>

#include "consume/attempt/batch.h"

struct runner;

/** The longest time between two runner_take_settled() of a loop that is `looking`, in us. */
#define RUNNER_LOOK_US 2000

/** What the loop will do by itself. Written by the loop, read by all; outlives the runner. */
struct loop_outlook {
    atomic_bool looking; /* runner_take_settled() follows within RUNNER_LOOK_US */
};

/** What the owner does for its runner. */
struct runner_calls {
    /**
     * Handle @attempt and write its outcome. Runs on worker @worker, without a lock.
     *
     * @begun_ns  when this began, by the runner's clock
     * @return    true: it is settled; false: runner_settled() will be called for it
     */
    bool (*run)(void *user, uint32_t worker, struct attempt *attempt, int64_t begun_ns);
    /**
     * The same for a batch, which was pushed as such (attempt->together): also of an older channel.
     *
     * @batch  all of it; in the end those that are settled, and were not given back by
     *         runner_settled()
     */
    void (*run_batch)(void *user, uint32_t worker, struct batch *batch, int64_t begun_ns);
    /** What that took, with handing the attempt on. On the same worker, after it. May be
     * NULL. */
    void (*ran)(void *user, uint32_t worker, int64_t took_ns);
    /** The channel generation now; deliveries of another are not run. Thread: any. */
    uint32_t (*generation)(void *user);
    /** Will the loop come within half a millisecond, so that waking it is a waste? Thread: any. */
    bool (*loop_rests)(void *user);
    /** Have runner_take_settled() called soon. Thread: any. */
    void (*wake_loop)(void *user);
    /** Worker @worker begins its life, and ends it; on its thread. May be NULL. */
    void (*worker_begins)(void *user, uint32_t worker);
    void (*worker_ends)(void *user, uint32_t worker);
};

/** What the workers did, for who decides how many there are to be. */
struct runner_seen {
    uint32_t size;    /* workers, without such as end */
    uint32_t running; /* at work: from their first message to their next rest */
    uint32_t peak;    /* the most of these at once since the last look */
    uint32_t queued;
    uint64_t begun;    /* messages, since ever */
    int64_t rested_ns; /* that workers had nothing to do, all together, since ever */
};

/** What a runner is. Thread of each: the loop's, unless it says otherwise. */
struct runner_ops {
    /** Queue all of @batch, which is not empty. An attempt that is the first of several that go
     * together has their number in `together`: they stand behind it, and one worker gets them. */
    void (*push)(struct runner *runner, struct batch *batch);
    /**
     * The guard against stragglers: see to it that what was queued at the last look is begun.
     *
     * @return true if it must be called again within RUNNER_LOOK_US: messages wait, and idle
     *         workers are there
     */
    bool (*look)(struct runner *runner);
    /** Append to @batch what is queued and was not begun; the caller owns it. Thread: any. */
    void (*take_queued)(struct runner *runner, struct batch *batch);
    /** How many messages are being handled and how many wait. Thread: any. */
    void (*load)(struct runner *runner, uint32_t *running, uint32_t *queued);
    /** What was done since the last call; and join what has ended. */
    void (*observe)(struct runner *runner, struct runner_seen *seen);
    /**
     * Have @concurrency workers. With fewer, those that are too many end behind what they are at;
     * with more, numbers of such may come again.
     *
     * @return WARREN_OK; WARREN_ENOMEM or WARREN_EIO with @error: there are some of them, and those
     *         that there were
     */
    enum warren_status (*resize)(struct runner *runner, uint32_t concurrency,
                                 struct warren_error *error);
    /** End the workers. No handler is running, and all that was queued and settled was taken. */
    void (*stop)(struct runner *runner);
    /** Free it; it was stopped. */
    void (*free)(struct runner *runner);
};

/** First in each implementation, zeroed but for what runner_init() sets. */
struct runner {
    const struct runner_ops *ops;
    struct runner_calls calls;
    void *user;
    struct loop_outlook *outlook;
    atomic_bool roomy;
    /* A Treiber stack that is only ever emptied as a whole, so there is no ABA. */
    _Atomic(struct attempt *) settled;
};

/* ---- the owner's side ---- */

static inline void runner_push(struct runner *runner, struct batch *batch)
{
    if (batch->count > 0)
        runner->ops->push(runner, batch);
}

static inline bool runner_look(struct runner *runner)
{
    return runner->ops->look(runner);
}

static inline void runner_take_queued(struct runner *runner, struct batch *batch)
{
    runner->ops->take_queued(runner, batch);
}

static inline void runner_load(struct runner *runner, uint32_t *running, uint32_t *queued)
{
    runner->ops->load(runner, running, queued);
}

static inline void runner_observe(struct runner *runner, struct runner_seen *seen)
{
    runner->ops->observe(runner, seen);
}

static inline enum warren_status runner_resize(struct runner *runner, uint32_t concurrency,
                                               struct warren_error *error)
{
    return runner->ops->resize(runner, concurrency, error);
}

/**
 * End the workers; runner_settled() may still be under way. NULL is fine, and so is a second call.
 */
static inline void runner_stop(struct runner *runner)
{
    if (runner)
        runner->ops->stop(runner);
}

/** The same, and free it. */
static inline void runner_free(struct runner *runner)
{
    runner_stop(runner);
    if (runner)
        runner->ops->free(runner);
}

/**
 * Is nobody waiting for what is settled? Then a worker that runs out of work leaves it to the next
 * look of the loop, if one is sure to come, instead of waking it: that saves one wake-up a message
 * where traffic is thin. False at first. Thread: the loop's.
 */
void runner_roomy(struct runner *runner, bool roomy);

/** Append to @batch what is settled, in that order, outcome written. Thread: the loop's. */
void runner_take_settled(struct runner *runner, struct batch *batch);

/** A delivery for which run() returned false is settled now. Thread: any. */
void runner_settled(struct runner *runner, struct attempt *attempt);

/* ---- the implementation's side ---- */

void runner_init(struct runner *runner, const struct runner_ops *ops,
                 const struct runner_calls *calls, void *user, struct loop_outlook *outlook);

/**
 * Give @attempt, whose outcome is written, to the loop, without waking it.
 *
 * @return true if nothing was waiting
 * Thread: any.
 */
bool runner_put_settled(struct runner *runner, struct attempt *attempt);
/** Nothing waits for the loop. Thread: any. */
bool runner_all_taken(const struct runner *runner);

#endif
