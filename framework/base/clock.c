/* clock.c - the real clock. */
#include "base/clock.h"

static int64_t read_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t monotonic_now_ns(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

struct clock *clock_monotonic(void)
{
    static struct clock monotonic = {.now_ns = monotonic_now_ns};

    return &monotonic;
}

int64_t clock_deadline_ms(int64_t wait_ms)
{
    int64_t now_ms = clock_now_ms(clock_monotonic());

    return wait_ms < 0 || wait_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + wait_ms;
}

struct timespec clock_timespec_us(int64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000 * 1000)};
}

int64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}
