/* executor.h - threads that several subscriptions share: each has a share of them that is its own
 * when it has messages, and what it does not need is lent to the others.
 *
 *   executor_new > executor_join (a runner for each subscription) > ... runner_free > executor_free
 *
 * A thread that is free takes a message of whom base/shares.h says, one at a time; so a share is
 * had again as soon as a handler that was lent its thread returns. Thread N is worker N of each of
 * the subscriptions, whose crews have one for all of them. Bound: as many handlers at once as there
 * are threads; what waits is each subscription's prefetch. Thread: the loop's, or the one that
 * makes all, unless it says otherwise. Owner: the runtime. Elsewhere: threads of one subscription
 * alone (threads.h).
 */
#ifndef WARREN_CONSUME_EXECUTOR_H
#define WARREN_CONSUME_EXECUTOR_H

#include <warren/status.h>

#include "base/clock.h"
#include "consume/workers/runner.h"

/** Members of one. */
#define EXECUTOR_MEMBERS_MAX 256

struct executor;

struct executor_options {
    const char *name;
    uint32_t threads; /* at least 1 */
    struct clock *clock;
    bool guarded; /* there is a flight recorder, and faults are caught */
};

/** Start its threads. WARREN_OK; WARREN_ENOMEM or WARREN_EIO with @error. */
enum warren_status executor_new(const struct executor_options *options,
                                struct executor **ret_executor, struct warren_error *error);
const char *executor_name(const struct executor *executor);
uint32_t executor_threads(const struct executor *executor);

struct executor_place {
    const char *queue; /* for metrics; borrowed for the call, as is: */
    const char *handler;
    uint32_t share; /* threads that are its own; at least 1 */
    uint32_t most;  /* threads that it may have at once; runner_resize() changes that */
    struct loop_outlook *outlook;
};

/**
 * A runner of these threads. worker_begins and worker_ends of @calls are called around each
 * message.
 *
 * @return WARREN_OK; WARREN_ENOMEM; WARREN_EFULL: there are EXECUTOR_MEMBERS_MAX
 */
enum warren_status executor_join(struct executor *executor, const struct executor_place *place,
                                 const struct runner_calls *calls, void *user,
                                 struct runner **ret_runner);

/** End its threads; all members were stopped. NULL is fine, and so is a second call. */
void executor_stop(struct executor *executor);
/** The same, and free it; all members were freed. NULL is fine. */
void executor_free(struct executor *executor);

#endif
