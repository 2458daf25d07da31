/* backoff.h - how long to wait before the next try: exponential with full jitter.
 * delay = random(0, min(max, min * 2^attempt)).
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015.
 * Thread: none of its own.
 */
#ifndef WARREN_BASE_BACKOFF_H
#define WARREN_BASE_BACKOFF_H

#include "base/random.h"

struct backoff {
    uint32_t min_ms; /* ceiling of the first delay */
    uint32_t max_ms; /* ceiling of all later ones */
    uint32_t attempt;
    struct random *random; /* borrowed */
};

void backoff_init(struct backoff *backoff, uint32_t min_ms, uint32_t max_ms, struct random *random);
/** The next delay in ms; counts the attempt. */
uint32_t backoff_next_ms(struct backoff *backoff);
/** Begin again at the first delay. */
void backoff_reset(struct backoff *backoff);

#endif
