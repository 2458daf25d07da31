/* token_bucket.c - see token_bucket.h. */
#include "base/token_bucket.h"

static int64_t capacity(const struct token_plan *plan)
{
    if (plan->even)
        return plan->per_ms + TOKEN_EVEN_SLACK_MS * plan->rate;
    return plan->burst * plan->per_ms;
}

void token_bucket_init(struct token_bucket *bucket, const struct token_plan *plan, int64_t now_ms)
{
    *bucket = (struct token_bucket){.plan = *plan, .at_ms = now_ms};
    bucket->full_units = capacity(plan);
    bucket->units = bucket->full_units;
}

static void fill(struct token_bucket *bucket, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - bucket->at_ms;
    int64_t missing = bucket->full_units - bucket->units;

    if (elapsed_ms <= 0)
        return;
    bucket->at_ms = now_ms;
    /* Compared by division: a long rest times a high rate would overflow. */
    if (elapsed_ms > missing / bucket->plan.rate)
        bucket->units = bucket->full_units;
    else
        bucket->units += elapsed_ms * bucket->plan.rate;
}

void token_bucket_change(struct token_bucket *bucket, const struct token_plan *plan, int64_t now_ms)
{
    int64_t old_ms = bucket->plan.per_ms;

    fill(bucket, now_ms);
    /* The same number of messages in the new unit, in two steps that cannot overflow. */
    bucket->units =
        bucket->units / old_ms * plan->per_ms + bucket->units % old_ms * plan->per_ms / old_ms;
    bucket->plan = *plan;
    bucket->full_units = capacity(plan);
    if (bucket->units > bucket->full_units)
        bucket->units = bucket->full_units;
}

int64_t token_bucket_ready(struct token_bucket *bucket, int64_t now_ms)
{
    fill(bucket, now_ms);
    return bucket->units > 0 ? bucket->units / bucket->plan.per_ms : 0;
}

int64_t token_bucket_wait_ms(const struct token_bucket *bucket, int64_t count)
{
    int64_t missing = count * bucket->plan.per_ms - bucket->units;

    if (missing <= 0)
        return 0;
    return (missing + bucket->plan.rate - 1) / bucket->plan.rate;
}

void token_bucket_take(struct token_bucket *bucket, int64_t count)
{
    bucket->units -= count * bucket->plan.per_ms;
}
