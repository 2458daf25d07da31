/* stage.h - what middlewares do ahead of the workers and behind them (`before` and `after` of
 * <warren/middleware.h>), for one subscription. Each of them is a stage.
 *
 *   admission > before 0 > [waiting] > before 1 > [waiting] > workers > receipts >
 *               after 1 > [waiting] > after 0 > [waiting] > settlement
 *
 * On the way in messages keep the order in which they came: one that waits for an answer holds
 * those behind it. What waits stands in the prefetch window, unsettled, and without a worker. Each
 * attempt has room for one mark of each stage (attempt_room()). A drain does not wait for plugins:
 * the message goes back in other memory, and what it was in stays for the answer.
 * Thread: the loop's, but for what says otherwise. Owner: struct subscription embeds the stages.
 */
#ifndef WARREN_CONSUME_STAGE_H
#define WARREN_CONSUME_STAGE_H

#include "consume/attempt/batch.h"
#include "consume/job/chain.h"
#include "consume/job/guard.h"
#include "consume/job/job.h"

struct stages;

/** That of one middleware. */
struct stage {
    struct chain_member member;
    struct stages *all;
    bool is_watched;      /* its `before` runs what a plugin has written */
    struct batch waiting; /* for `before`, in order of arrival */
};

/** What the owner does for the stages. */
struct stages_calls {
    /** Have stages_pass() called soon, for an answer has come. Thread: any. */
    void (*wake)(void *user);
    /** @attempt, for which stages_leave() returned false, is settled now. Thread: any. */
    void (*settled)(void *user, struct attempt *attempt);
    /** Is @attempt still to go on to the workers? Thread: the loop's. */
    bool (*wanted)(void *user, const struct attempt *attempt);
};

/** All zero: there is no such middleware. */
struct stages {
    struct stage *items; /* outermost first */
    size_t count;
    struct warren_job *job; /* to look at messages with */
    struct guard *guard;    /* of those that are watched; NULL: they are not */
    const struct stages_calls *calls;
    void *user;
    uint32_t forks;     /* when they were made: in a child passages lead nowhere */
    atomic_uint inside; /* threads that are in `after`, or answer: a message may have left before
                           them */
    struct batch left;  /* of stages_give_up(): memory that an answer may still write to */
};

/**
 * @stages   zeroed
 * @members  all middlewares of the subscription, outermost first; those without `before` are left
 *           out
 * @handler  whose `key` they may ask; may be NULL
 * @return   WARREN_OK or WARREN_ENOMEM
 */
enum warren_status stages_init(struct stages *stages, const struct chain_member *members,
                               size_t count, const struct job_source *source,
                               const struct warren_handler *handler,
                               const struct stages_calls *calls, void *user);
/** Is there one that runs what a plugin has written: a `before`, or the handler's `key`? */
bool stages_watched(const struct stages *stages);
/** A zeroed one is fine; nothing may be waiting. */
void stages_done(struct stages *stages);

/**
 * Show all of @arrived to each `before`, and what has an answer by now to the next one. Append to
 * @go what may go to the workers, and to @unwanted what had its answer and is not wanted any more.
 */
void stages_pass(struct stages *stages, struct batch *arrived, struct batch *go,
                 struct batch *unwanted);
/**
 * Append to @back what waits for an answer, but what waits for one of warren's own, which is sure
 * to come; and without memory for it. An answer that comes later is of no effect.
 */
void stages_give_up(struct stages *stages, struct batch *back);
/** Nobody is in an `after`, or answers. With no message in them, the stages may be forgotten. */
static inline bool stages_quiet(const struct stages *stages)
{
    return atomic_load_explicit(&stages->inside, memory_order_acquire) == 0;
}
/** How many wait for an answer of a `before`. */
uint32_t stages_waiting(const struct stages *stages);

/**
 * @attempt's outcome is final: call each `after`, innermost first.
 *
 * @return true: settle it now; false: calls->settled() follows later. Thread: any
 */
bool stages_leave(struct stages *stages, struct attempt *attempt);
/** @attempt is about to be settled: each `after` that was not called yet is called now. */
void stages_drop(struct stages *stages, struct attempt *attempt);

#endif
