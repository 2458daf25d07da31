/* middleware.h - the calling convention of the chain around a handler.
 *
 * A chain is an array of links, the handler last. A link gets the job and the next link; it calls
 * warren_next() at most once and may change the outcome that comes back. Nothing is allocated and
 * nothing is locked to walk the chain.
 * Thread: the worker thread that runs the job.
 */
#ifndef WARREN_MIDDLEWARE_H
#define WARREN_MIDDLEWARE_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One link of a chain: a function and what it works on. */
struct warren_link {
    enum warren_outcome (*call)(struct warren_job *job, const struct warren_link *next,
                                void *state);
    void *state;
};

/** Run the rest of the chain for @job. Since: 0.1. */
static inline enum warren_outcome warren_next(struct warren_job *job,
                                              const struct warren_link *next)
{
    return next->call(job, next + 1, next->state);
}

#ifdef __cplusplus
}
#endif
#endif
