/* job_batch.h - messages that are handled together: what <warren/batch.h> promises.
 *
 * The chain of each runs as always, one inside of the other: where the first one would call the
 * handler, that of the second begins, and so on, and in the innermost one the handler is called
 * with all of them. So each middleware is around the handler, on one stack, and needs to know
 * nothing of batches. A chain that ends early takes its message out, and the next one begins where
 * the one before had come to.
 *
 *   chain 1 ( chain 2 ( chain 3 turns its message away; chain 4 ( handler [1 2 4] ) ) )
 *
 * Bound: when half of the thread's stack is used, the handler is called with those that there are,
 * and the others follow after it.
 * Thread: the worker's. Elsewhere: where messages are gathered (consume/runtime/), who has suspects
 * run apart (crew_batch.c).
 */
#ifndef WARREN_CONSUME_JOB_BATCH_H
#define WARREN_CONSUME_JOB_BATCH_H

#include <warren/batch.h>

#include "consume/job/job.h"

/** How soon messages are attempted again that were in a batch with one that panicked. */
#define BATCH_AGAIN_MS 100

struct warren_batch {
    const struct chain *chain; /* of all; borrowed */
    struct warren_job **jobs;  /* that are to be run through it, in order; borrowed */
    uint32_t planned;
    uint32_t begun;              /* of these */
    struct warren_job **members; /* that have come to the handler: room for as many; borrowed */
    uint32_t count;
    uint32_t parted;           /* of these, when the handler has returned */
    bool called;               /* the handler was */
    bool running;              /* and the members are its own */
    bool returned;             /* it did, in good order */
    enum warren_outcome whole; /* what it says of all */
    struct warren_job *writes; /* whose part of the transaction it is; NULL: nobody's */
    struct warren_job *panicked;
    struct traceparent first; /* of the first of these jobs that has spans, when all have run */
    bool has_first;
    jmp_buf at; /* where a panic unwinds to */
};

/**
 * Run the chain for each of @batch->jobs, all of which have begun and have this batch; what each
 * answers is in job->answer. All else of @batch is zero at first, but for the room for members.
 */
void job_batch_run(struct warren_batch *batch);

/** The link of a handler that takes batches; @state is its struct chain. A job without a batch is
 * one by itself. */
enum warren_outcome job_batch_call(struct warren_job *job, const struct warren_link *next,
                                   void *state);

/** @job, which has a batch, asks for its transaction: that of the one before ends. @return false:
 * there is none for it, and it says why */
bool job_batch_writes(struct warren_job *job);

/** Is the handler of its batch running, so that a panic ends there? */
static inline bool job_batch_is_running(const struct warren_job *job)
{
    return job->batch && job->batch->running && job->joined;
}
/** @job, which has said why, gives the handler of its batch up. */
void job_batch_panic(struct warren_job *job) __attribute__((noreturn));

#endif
