/* pacer.h - a token bucket: at most `rate` messages a second, with a bounded burst after a pause.
 * Thread: none of its own; the clock is passed in.
 */
#ifndef WARREN_COMMAND_PACER_H
#define WARREN_COMMAND_PACER_H

#include <stdint.h>

/** What a pause may be made up for at once. */
#define PACER_BURST_NS INT64_C(100000000)

struct pacer {
    int64_t interval_ns; /* 0: no limit */
    int64_t due_ns;      /* when the next one may go */
};

/** @per_second: 0 for no limit. */
void pacer_init(struct pacer *pacer, double per_second, int64_t now_ns);
/** Take one; how long to wait before it may go, in nanoseconds. */
int64_t pacer_take(struct pacer *pacer, int64_t now_ns);

#endif
