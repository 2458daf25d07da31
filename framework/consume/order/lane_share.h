/* lane_share.h - which of two lanes goes next, so that each has its share of what begins.
 *
 * A lane that could not go, for it has nobody or no place, loses its turns and is owed nothing
 * later; so neither is kept waiting by what the other one did not take.
 * Pure. Thread: one at a time. Owner: struct lanes embeds one.
 * Source: Goyal, Vin and Cheng, "Start-time fair queueing", SIGCOMM 1996.
 */
#ifndef WARREN_CONSUME_LANE_SHARE_H
#define WARREN_CONSUME_LANE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum lane { LANE_FAST, LANE_SLOW, LANES };

struct lane_share {
    int64_t cost[LANES];   /* of a message, in virtual time: the other lane's share */
    int64_t finish[LANES]; /* when the last one of the lane is paid for */
    int64_t now;           /* when the last one of any began */
};

/** @share  of each, 1 to 1000 */
void lane_share_init(struct lane_share *lanes, const uint32_t share[LANES]);
/** @can  which of them could go, at least one. @return the one that goes, which has then */
enum lane lane_share_next(struct lane_share *lanes, const bool can[LANES]);

#endif
