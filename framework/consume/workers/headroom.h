/* headroom.h - is there CPU and memory for more threads: by what the control group of the process
 * allows (base/cgroup.h), and by the CPUs that the process may run on.
 *
 * CPU      at SHARE_CPU of it more threads would share what there is: none are added
 * memory   at SHARE_MEMORY none are added, and at SHARE_MEMORY_LITTLE some end
 *
 * The CPU is that between two looks, of all processes of the group. Temporal's resource-based
 * tuner has such targets (0.9 of CPU, 0.8 of memory).
 * Thread: one at a time. Elsewhere: who wants threads (consume/runtime/subscription_pool.c).
 */
#ifndef WARREN_CONSUME_HEADROOM_H
#define WARREN_CONSUME_HEADROOM_H

#include <stdint.h>

#include "base/cgroup.h"

enum headroom {
    HEADROOM_FREE,
    HEADROOM_NO_CPU,
    HEADROOM_NO_MEMORY,
    HEADROOM_LITTLE_MEMORY /* there should be fewer threads */
};

/** What was read at one look. */
struct headroom_sample {
    int64_t now_us;
    int64_t process_us; /* CPU time of the process, */
    int64_t cpus;       /* and CPUs that it may run on; 0: not known */
    struct cgroup_usage group;
};

/** What the two say, of which @now is later. */
enum headroom headroom_judge(const struct headroom_sample *before,
                             const struct headroom_sample *now);

/** All zero at first. */
struct headroom_looker {
    struct cgroup cgroup;
    int64_t found_us; /* when limits were looked for last, for they may move; 0: never */
    struct headroom_sample last;
};

/** Look now. The first look, and one after a while, says of CPU what was used since the one before.
 * @now_us: of any clock that does not jump */
enum headroom headroom_look(struct headroom_looker *looker, int64_t now_us);

#endif
