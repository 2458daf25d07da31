/* random.h - random numbers from a seed, so that a run can be repeated.
 * Not for secrets. Thread: one at a time for each struct.
 */
#ifndef WARREN_BASE_RANDOM_H
#define WARREN_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4]; /* xoshiro256**, Blackman and Vigna 2018 */
};

/** The same seed gives the same numbers. */
void random_init(struct random *random, uint64_t seed);
/** A seed from the operating system. */
uint64_t random_seed(void);
uint64_t random_u64(struct random *random);
/** Even over 0 to @limit inclusive. */
uint64_t random_upto(struct random *random, uint64_t limit);

/* ---- uuid ----
 *
 * time-ordered message ids: UUID version 7 (RFC 9562, section 5.7). 48 bits of wall-clock
 * milliseconds, then 74 random bits from the operating system, fetched many at a time.
 */

/** 36 characters and the NUL. */
#define UUID_TEXT_SIZE 37

/** Write a new id. Thread: any (the pool of random bytes is per thread). */
void uuid_v7(char text[UUID_TEXT_SIZE]);

#endif
