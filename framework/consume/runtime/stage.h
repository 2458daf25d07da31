/* stage.h - what a middleware does ahead of the workers and behind them (`before` and `after` of
 * <warren/middleware.h>), for one subscription.
 *
 *   admission > before > [waiting] > workers > receipts > after > [waiting] > settlement
 *
 * Messages go on in the order in which they came: one that waits for an answer holds those behind
 * it. What waits stands in the prefetch window, unsettled, and without a worker.
 * Thread: the loop's, but for what says otherwise. Owner: struct subscription embeds one.
 */
#ifndef WARREN_CONSUME_STAGE_H
#define WARREN_CONSUME_STAGE_H

#include "consume/attempt/job.h"
#include "consume/runtime/runtime.h"
#include "consume/workers/runner.h"

struct stage {
    struct runtime_stage calls; /* before NULL: there is no such middleware */
    struct warren_job *job;     /* to look at messages with */
    struct batch waiting;       /* for `before`, in order of arrival */
    struct runner *runner;      /* takes what `after` held back */
    void (*wake)(void *user);   /* have stage_take() called soon. Thread: any */
    void *user;
};

/** @calls may be NULL: there is none. WARREN_OK or WARREN_ENOMEM. */
enum warren_status stage_init(struct stage *stage, const struct runtime_stage *calls,
                              const struct job_source *source, void (*wake)(void *user),
                              void *user);
/** A zeroed one is fine; nothing may be waiting. */
void stage_done(struct stage *stage);

/** Show all of @arrived to `before`; append to @go what may go to the workers. */
void stage_enter(struct stage *stage, struct batch *arrived, struct batch *go);
/** Append to @go what has its answer by now, and nothing before it that has none. */
void stage_take(struct stage *stage, struct batch *go);

/**
 * @delivery's outcome is final.
 *
 * @return true: settle it now; false: the runner gets it later. Thread: any
 */
bool stage_leave(struct stage *stage, struct delivery *delivery);
/** @delivery is about to be settled: if `after` was never called for it, it is now. */
void stage_drop(struct stage *stage, struct delivery *delivery);

#endif
