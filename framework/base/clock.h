/* clock.h - time that tests can drive.
 * Thread: any. Elsewhere: a clock that stands still (tests/support/fake_clock.h).
 */
#ifndef WARREN_BASE_CLOCK_H
#define WARREN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock {
    int64_t (*now_ns)(struct clock *clock);
};

/** CLOCK_MONOTONIC. Static storage. */
struct clock *clock_monotonic(void);

static inline int64_t clock_now_ns(struct clock *clock)
{
    return clock->now_ns(clock);
}

static inline int64_t clock_now_ms(struct clock *clock)
{
    return clock->now_ns(clock) / 1000000;
}

/** The millisecond of clock_monotonic() that is @wait_ms from now; INT64_MAX: never, as for one
 * below 0 or too far away. */
int64_t clock_deadline_ms(int64_t wait_ms);

/** @a - @b, or the end of int64 that it lies beyond. */
static inline int64_t clock_minus_ms(int64_t a, int64_t b)
{
    int64_t difference;

    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

/** A time of clock_monotonic() as the kernel wants it. Async-signal-safe, as that clock is. */
struct timespec clock_timespec_us(int64_t us);

/** Milliseconds since 1970-01-01 UTC, for people and message ids; it may step. */
int64_t clock_wall_ms(void);

#endif
