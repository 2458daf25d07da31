/* token_bucket.h - how many messages may go now, so that a rate is kept.
 * In whole numbers: over any time t no more than burst + t * rate / per_ms go. Nor one fewer, if
 * asked each time that a message is due; with a burst of 1 the part of a millisecond that it came
 * too late is lost.
 * Pure: the clock's reading is handed in. Thread: one at a time.
 * Source: ITU-T I.371, generic cell rate algorithm, of which both kinds are cases.
 */
#ifndef WARREN_BASE_TOKEN_BUCKET_H
#define WARREN_BASE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_RATE_MAX   1000000  /* messages */
#define TOKEN_PER_MAX_MS 86400000 /* a day */

/** By so much may an evenly spaced message come early, to make up for a timer that was late. */
#define TOKEN_EVEN_SLACK_MS 2

struct token_plan {
    int64_t rate;   /* messages per @per_ms; 1 to TOKEN_RATE_MAX */
    int64_t per_ms; /* 1 to TOKEN_PER_MAX_MS */
    int64_t burst;  /* messages that may go at once after a rest; 1 to TOKEN_RATE_MAX */
    bool even;      /* leaky bucket: one by one, per_ms / rate apart; burst plays no part */
};

/* A millisecond brings `rate` units, a message costs `per_ms` of them: no fraction is lost. */
struct token_bucket {
    struct token_plan plan;
    int64_t units;
    int64_t full_units;
    int64_t at_ms; /* when @units was right */
};

/** Begins full. */
void token_bucket_init(struct token_bucket *bucket, const struct token_plan *plan, int64_t now_ms);
/** From now on @plan; messages that were saved up stay so as far as its burst allows. */
void token_bucket_change(struct token_bucket *bucket, const struct token_plan *plan,
                         int64_t now_ms);
/** How many messages may go at @now_ms. */
int64_t token_bucket_ready(struct token_bucket *bucket, int64_t now_ms);
/** From the last token_bucket_ready(): milliseconds until @count may go; 0: now. */
int64_t token_bucket_wait_ms(const struct token_bucket *bucket, int64_t count);
/** @count messages went. More than were ready is a debt, which is worked off first. */
void token_bucket_take(struct token_bucket *bucket, int64_t count);

#endif
