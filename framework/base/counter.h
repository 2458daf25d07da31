/* counter.h - a number that one thread writes, and any may read: no atomic addition is needed.
 * Thread: counter_add(): its writer's; counter_get(): any.
 */
#ifndef WARREN_BASE_COUNTER_H
#define WARREN_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/** @more may be below 0: it goes back then. */
static inline void counter_add(_Atomic uint64_t *counter, int64_t more)
{
    atomic_store_explicit(counter, counter_get(counter) + (uint64_t)more, memory_order_relaxed);
}

#endif
