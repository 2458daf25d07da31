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

/* ---- policies of retries ---- */

/* Steps of decorrelated jitter that are walked again. It forgets where it began far earlier. */
#define WALK_MAX 64

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t between(int64_t low, int64_t high, struct random *random)
{
    if (high <= low)
        return low;
    return low + (int64_t)random_upto(random, (uint64_t)(high - low));
}

static int64_t linear_ms(const struct retry_policy *policy, uint32_t attempt)
{
    if (policy->initial_ms > policy->max_ms / (int64_t)attempt)
        return policy->max_ms;
    return policy->initial_ms * (int64_t)attempt;
}

static int64_t exponential_ms(const struct retry_policy *policy, uint32_t attempt)
{
    int64_t delay_ms = policy->initial_ms;

    if (policy->factor < 2 || delay_ms <= 0)
        return least(delay_ms, policy->max_ms);
    /* At most 62 turns, for each at least doubles. */
    for (uint32_t n = 1; n < attempt && delay_ms < policy->max_ms; n++) {
        if (delay_ms > policy->max_ms / policy->factor)
            return policy->max_ms;
        delay_ms *= policy->factor;
    }
    return least(delay_ms, policy->max_ms);
}

int64_t retry_policy_ceiling_ms(const struct retry_policy *policy, uint32_t attempt)
{
    if (attempt == 0)
        attempt = 1;
    switch (policy->growth) {
    case RETRY_IMMEDIATE:
        return 0;
    case RETRY_LINEAR:
        return linear_ms(policy, attempt);
    case RETRY_EXPONENTIAL:
        return exponential_ms(policy, attempt);
    case RETRY_CONSTANT:
        break;
    }
    return least(policy->initial_ms, policy->max_ms);
}

int64_t retry_policy_shortest_ms(const struct retry_policy *policy)
{
    int64_t first_ms = retry_policy_ceiling_ms(policy, 1); /* the others are no shorter */

    switch (policy->jitter) {
    case RETRY_JITTER_EQUAL:
        return first_ms / 2;
    case RETRY_JITTER_FULL:
        return 0;
    case RETRY_JITTER_DECORRELATED:
    case RETRY_JITTER_NONE:
        break;
    }
    return first_ms;
}

int64_t retry_policy_delay_ms(const struct retry_policy *policy, uint32_t attempt,
                              int64_t previous_ms, struct random *random)
{
    int64_t ceiling_ms = retry_policy_ceiling_ms(policy, attempt);

    switch (policy->jitter) {
    case RETRY_JITTER_EQUAL:
        return between(ceiling_ms / 2, ceiling_ms, random);
    case RETRY_JITTER_FULL:
        return between(0, ceiling_ms, random);
    case RETRY_JITTER_DECORRELATED:
        previous_ms = least(previous_ms, policy->max_ms);
        return least(policy->max_ms, between(policy->initial_ms, 3 * previous_ms, random));
    case RETRY_JITTER_NONE:
        break;
    }
    return ceiling_ms;
}

int64_t retry_policy_seeded_ms(const struct retry_policy *policy, uint32_t attempt, uint64_t seed)
{
    uint32_t walk = attempt < WALK_MAX ? attempt : WALK_MAX;
    int64_t delay_ms = policy->initial_ms;
    struct random random;

    if (policy->jitter != RETRY_JITTER_DECORRELATED) {
        random_init(&random, seed + attempt);
        return retry_policy_delay_ms(policy, attempt, delay_ms, &random);
    }
    random_init(&random, seed + (attempt - walk));
    for (uint32_t n = 1; n <= walk; n++)
        delay_ms = retry_policy_delay_ms(policy, n, delay_ms, &random);
    return delay_ms;
}
