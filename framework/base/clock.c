/* clock.c - the real clock and the fake one. */
#include "base/clock.h"

#include <time.h>

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

static int64_t fake_now_ns(struct clock *clock)
{
    return ((struct clock_fake *)(void *)clock)->now_ns;
}

void clock_fake_init(struct clock_fake *fake, int64_t now_ms)
{
    fake->clock.now_ns = fake_now_ns;
    fake->now_ns = now_ms * 1000000;
}

void clock_fake_advance_ms(struct clock_fake *fake, int64_t ms)
{
    fake->now_ns += ms * 1000000;
}

int64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}
