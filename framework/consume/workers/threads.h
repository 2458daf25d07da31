/* threads.h - a runner whose workers are threads of this process.
 *
 * They take one delivery at a time, so a stuck handler holds back only its own message. What
 * costs is not the queue but waking threads (some 20 us each), so: a push wakes only as many idle
 * workers as its work is worth, by the average time a message took so far; and the loop is woken
 * only when it would not come by itself (struct loop_outlook).
 */
#ifndef WARREN_CONSUME_THREADS_H
#define WARREN_CONSUME_THREADS_H

#include <warren/status.h>

#include "base/clock.h"
#include "consume/workers/runner.h"

struct threads_options {
    const char *name; /* of the threads; copied */
    uint32_t concurrency;
    struct clock *clock;
    struct loop_outlook *outlook;
};

/** Start the threads. WARREN_OK; WARREN_ENOMEM or WARREN_EIO with @error. */
enum warren_status threads_new(const struct threads_options *options,
                               const struct runner_calls *calls, void *user,
                               struct runner **ret_runner, struct warren_error *error);

#endif
