/* delay.h - deliveries that wait for the time of their next attempt: a binary heap, the earliest on
 * top. Bounded by its capacity.
 * Thread: the loop's. Owner: struct admission embeds one; the deliveries in it are its own.
 */
#ifndef WARREN_CONSUME_DELAY_H
#define WARREN_CONSUME_DELAY_H

#include <warren/status.h>

#include "consume/attempt/batch.h"

struct delay {
    struct attempt **heap; /* ordered by retry_at_ms, then by tag */
    uint32_t count;
    uint32_t capacity;
};

/** WARREN_OK or WARREN_ENOMEM. */
enum warren_status delay_init(struct delay *delay, uint32_t capacity);
/** Room for @capacity, if there is less. WARREN_OK or WARREN_ENOMEM. */
enum warren_status delay_reserve(struct delay *delay, uint32_t capacity);
/** Empty, or zeroed. */
void delay_done(struct delay *delay);

/** Keep @attempt until its retry_at_ms. @return false: there is no room. */
bool delay_put(struct delay *delay, struct attempt *attempt);
/** Take out the earliest if it is due at @now_ms; INT64_MAX: in any case. NULL: none is. */
struct attempt *delay_pop(struct delay *delay, int64_t now_ms);
/** When the first one is due; INT64_MAX: there is none. */
int64_t delay_next_ms(const struct delay *delay);
/** Append to @batch, earliest first, all that are due at @now_ms; INT64_MAX: all. */
void delay_take(struct delay *delay, int64_t now_ms, struct batch *batch);

#endif
