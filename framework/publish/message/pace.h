/* pace.h - how many messages a publisher may send now, so that it keeps a rate.
 * Pure: the clock's reading is handed in. Thread: none of its own (the publisher's loop).
 * Elsewhere: the arithmetic (base/token_bucket.h), waiting (sender.c).
 */
#ifndef WARREN_PUBLISH_PACE_H
#define WARREN_PUBLISH_PACE_H

#include <warren/status.h>

#include "base/token_bucket.h"

/** Bounds of a rate, in messages a second; 0 is none. */
#define PACE_RATE_MIN  0.001
#define PACE_RATE_MAX  1e6
#define PACE_BURST_MAX 1000000

/** Zeroed: no limit. */
struct pace {
    bool limited;
    struct token_bucket bucket;
};

/**
 * Can a publisher keep this?
 *
 * @timeout_ms  a message's longest life in the window; 0: for ever
 * @return      WARREN_OK; WARREN_EINVAL with @error: out of bounds, or so slow that a message
 *              would end before the next one may go
 */
enum warren_status pace_check(double rate, uint32_t burst, uint32_t timeout_ms,
                              struct warren_error *error);
/** From now on @rate, which was checked; @burst 0: evenly spaced. */
void pace_set(struct pace *pace, double rate, uint32_t burst, int64_t now_ms);
/**
 * How many messages the window may hold: at most @window_messages, and no more than leave within
 * half of @timeout_ms, so that none ends only because it stood at the end of a long queue.
 */
uint32_t pace_window(double rate, uint32_t timeout_ms, uint32_t window_messages);

/** How many may go at @now_ms; without a limit INT64_MAX. */
int64_t pace_may(struct pace *pace, int64_t now_ms);
/** Right after pace_may() said 0: ask again so much later, at least 1. */
int64_t pace_wait_ms(const struct pace *pace);
/** @count messages went. */
void pace_took(struct pace *pace, int64_t count);

#endif
