/* profile.h - where the time of a running process goes: sampled stacks, folded.
 *
 * A line for each stack that was seen: the thread's name and the functions, outermost first, with
 * semicolons between them, then how often; what flame-graph tools read.
 * Thread: any, one at a time. Bound: PROFILE_STACKS; what is beyond counts as "(other)".
 * Elsewhere: sampling (stack_sampler.h).
 */
#ifndef WARREN_OBSERVE_PROFILE_H
#define WARREN_OBSERVE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/** Different stacks of one profile. */
#define PROFILE_STACKS      16384
#define PROFILE_SECONDS_MAX 300

struct profile_summary {
    uint64_t samples;
    uint64_t dropped; /* found no room */
    uint32_t stacks;
};

/**
 * Sample for @seconds (1 to PROFILE_SECONDS_MAX), and append the lines to @folded. Blocks.
 *
 * @ended  see stack_sampler_profile()
 * @return as stack_sampler_profile(); WARREN_EINVAL: @seconds; as buffer_append(); with @error
 */
enum warren_status profile_take(uint32_t seconds, bool (*ended)(void *user), void *user,
                                struct buffer *folded, struct profile_summary *summary,
                                struct warren_error *error);

#endif
