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

/* ---- retry policy ----
 *
 * how long to wait between the attempts at one message. Pure: neither clock nor state; randomness
 * is handed in. Thread: any. Elsewhere: how often, and who waits (middleware/retry.h); reconnects
 * (above).
 */

enum retry_growth { RETRY_IMMEDIATE, RETRY_CONSTANT, RETRY_LINEAR, RETRY_EXPONENTIAL };

/** What randomness does to the delay that the growth gives. */
enum retry_jitter {
    RETRY_JITTER_NONE,
    RETRY_JITTER_EQUAL,       /* half of it, and a random part of the other half */
    RETRY_JITTER_FULL,        /* a random part of it */
    RETRY_JITTER_DECORRELATED /* min(max, random(initial, 3 * previous)); growth plays no part */
};

struct retry_policy {
    enum retry_growth growth;
    enum retry_jitter jitter;
    int64_t initial_ms; /* the first delay; 0 to max_ms */
    int64_t max_ms;     /* no delay is longer; at most INT64_MAX / 3 */
    uint32_t factor;    /* exponential: of each delay to the one before; at least 2 */
};

/** The delay after failed attempt @attempt, from 1, before any jitter. */
int64_t retry_policy_ceiling_ms(const struct retry_policy *policy, uint32_t attempt);

/** No delay is shorter, whatever the randomness. */
int64_t retry_policy_shortest_ms(const struct retry_policy *policy);

/**
 * The delay after failed attempt @attempt, from 1.
 *
 * @previous_ms  the delay before this one; only decorrelated jitter asks; initial_ms at first
 */
int64_t retry_policy_delay_ms(const struct retry_policy *policy, uint32_t attempt,
                              int64_t previous_ms, struct random *random);

/**
 * The same for who has not kept the previous delay: @seed stands for the message, and the same
 * seed gives the same row of delays.
 */
int64_t retry_policy_seeded_ms(const struct retry_policy *policy, uint32_t attempt, uint64_t seed);

#endif
