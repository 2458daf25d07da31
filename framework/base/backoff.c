/* backoff.c - exponential backoff with full jitter. */
#include "base/backoff.h"

void backoff_init(struct backoff *backoff, uint32_t min_ms, uint32_t max_ms, struct random *random)
{
    *backoff = (struct backoff){.min_ms = min_ms, .max_ms = max_ms, .random = random};
}

uint32_t backoff_next_ms(struct backoff *backoff)
{
    uint64_t ceiling_ms = backoff->max_ms;

    /* From the 32nd doubling on, even 1 ms is above any 32-bit maximum. */
    if (backoff->attempt < 32 && (uint64_t)backoff->min_ms << backoff->attempt < ceiling_ms)
        ceiling_ms = (uint64_t)backoff->min_ms << backoff->attempt;
    if (backoff->attempt < UINT32_MAX)
        backoff->attempt++;
    return (uint32_t)random_upto(backoff->random, ceiling_ms);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->attempt = 0;
}
