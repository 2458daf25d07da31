/* lane_share.c - see lane_share.h. */
#include "consume/order/lane_share.h"

void lane_share_init(struct lane_share *lanes, const uint32_t share[LANES])
{
    *lanes = (struct lane_share){.cost = {share[LANE_SLOW], share[LANE_FAST]}};
}

static int64_t start_of(const struct lane_share *lanes, enum lane lane)
{
    return lanes->finish[lane] > lanes->now ? lanes->finish[lane] : lanes->now;
}

enum lane lane_share_next(struct lane_share *lanes, const bool can[LANES])
{
    enum lane next = can[LANE_FAST] ? LANE_FAST : LANE_SLOW;

    if (can[LANE_FAST] && can[LANE_SLOW] && start_of(lanes, LANE_SLOW) < start_of(lanes, LANE_FAST))
        next = LANE_SLOW;
    lanes->now = start_of(lanes, next);
    lanes->finish[next] = lanes->now + lanes->cost[next];
    return next;
}
