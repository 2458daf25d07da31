/* pace.c - see pace.h. */
#include "publish/message/pace.h"

#include "base/error.h"

/* Below this rate a plan counts thousandths of a message a second. */
#define FINE_BELOW 1000.0

enum warren_status pace_check(double rate, uint32_t burst, uint32_t timeout_ms,
                              struct warren_error *error)
{
    if (rate == 0)
        return WARREN_OK;
    if (!(rate >= PACE_RATE_MIN && rate <= PACE_RATE_MAX)) /* also if it is no number */
        return error_set(error, WARREN_EINVAL, "rate is %g, must be 0 or %g to %.0f", rate,
                         PACE_RATE_MIN, PACE_RATE_MAX);
    if (burst > PACE_BURST_MAX)
        return error_set(error, WARREN_EINVAL, "burst is %u, must be at most %d", burst,
                         PACE_BURST_MAX);
    if (timeout_ms > 0 && rate * timeout_ms < 1000)
        return error_set(error, WARREN_EINVAL,
                         "at rate %g a message waits longer for its turn than timeout_ms (%u)",
                         rate, timeout_ms);
    return WARREN_OK;
}

static struct token_plan plan_of(double rate, uint32_t burst)
{
    struct token_plan plan = {.burst = burst, .even = burst == 0};
    int64_t least;

    if (rate < FINE_BELOW) {
        plan.rate = (int64_t)(rate * 1000 + 0.5);
        plan.per_ms = 1000000;
    } else {
        plan.rate = (int64_t)(rate + 0.5);
        plan.per_ms = 1000;
    }
    /* A timer comes a little late; a smaller bucket would have run over until then. */
    least = 1 + plan.rate * TOKEN_EVEN_SLACK_MS / plan.per_ms;
    if (plan.burst < least)
        plan.burst = least;
    return plan;
}

void pace_set(struct pace *pace, double rate, uint32_t burst, int64_t now_ms)
{
    bool was_limited = pace->limited;
    struct token_plan plan;

    pace->limited = rate > 0;
    if (!pace->limited)
        return;
    plan = plan_of(rate, burst);
    if (was_limited)
        token_bucket_change(&pace->bucket, &plan, now_ms);
    else
        token_bucket_init(&pace->bucket, &plan, now_ms);
}

uint32_t pace_window(double rate, uint32_t timeout_ms, uint32_t window_messages)
{
    double fit = rate * timeout_ms / 2000;

    if (rate == 0 || timeout_ms == 0 || fit >= window_messages)
        return window_messages;
    return fit < 1 ? 1 : (uint32_t)fit;
}

int64_t pace_may(struct pace *pace, int64_t now_ms)
{
    return pace->limited ? token_bucket_ready(&pace->bucket, now_ms) : INT64_MAX;
}

int64_t pace_wait_ms(const struct pace *pace)
{
    int64_t wait_ms = token_bucket_wait_ms(&pace->bucket, 1);

    return wait_ms > 0 ? wait_ms : 1;
}

void pace_took(struct pace *pace, int64_t count)
{
    if (pace->limited)
        token_bucket_take(&pace->bucket, count);
}
