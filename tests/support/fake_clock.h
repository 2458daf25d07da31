/* fake_clock.h - a clock that stands still until it is advanced. */
#ifndef WARREN_TESTS_FAKE_CLOCK_H
#define WARREN_TESTS_FAKE_CLOCK_H

#include "base/clock.h"

struct clock_fake {
    struct clock clock;
    int64_t now_ns;
};

static inline int64_t clock_fake_now_ns(struct clock *clock)
{
    return ((struct clock_fake *)(void *)clock)->now_ns;
}

static inline void clock_fake_init(struct clock_fake *fake, int64_t now_ms)
{
    *fake = (struct clock_fake){.clock.now_ns = clock_fake_now_ns, .now_ns = now_ms * 1000000};
}

static inline void clock_fake_advance_ms(struct clock_fake *fake, int64_t ms)
{
    fake->now_ns += ms * 1000000;
}

#endif
