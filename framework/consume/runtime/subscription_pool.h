/* subscription_pool.h - subscriptions whose number of threads is a range (`concurrency: 2-32`): a
 * look at their workers each SIZING_PERIOD_MS, as long as these have something to do or are more
 * than the least.
 *
 * The prefetch stays what it is: RabbitMQ applies another one to subscriptions to come, and quorum
 * queues know none for a channel. What changes is how much of it is handled at once.
 * Thread: the loop's, unless it says otherwise. Elsewhere: how many there are to be
 * (consume/workers/sizing.h), what there is room for (consume/workers/headroom.h), starting and
 * ending them (consume/workers/runner.h).
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_POOL_H
#define WARREN_CONSUME_SUBSCRIPTION_POOL_H

#include "base/metrics.h"
#include "consume/workers/headroom.h"
#include "consume/workers/sizing.h"
#include "loop/loop.h"

struct runtime;
struct runtime_subscription;
struct subscription;

/** Of a runtime. */
struct pools {
    size_t count;
    bool looking; /* the timer is armed */
    struct loop_timer timer;
    struct headroom_looker headroom;
};

/** Why a subscription has not more threads, or has fewer. */
enum pool_hold { POOL_HOLD_CPU, POOL_HOLD_MEMORY, POOL_HOLD_THREADS, POOL_HOLDS };

struct subscription_pool_metrics {
    struct warren_series *min; /* NULL, as all: there never was a range */
    struct warren_series *max;
    struct warren_series *wait;
    struct warren_series *grown;
    struct warren_series *shrunk;
    struct warren_series *held_back[POOL_HOLDS];
};

/** Of a subscription; all zero at first. */
struct subscription_pool {
    struct sizing sizing;
    uint64_t reached; /* prefetch_reached at the last look */
    int64_t told_ms;  /* when it was told that a thread could not be started; 0: never */
    struct subscription_pool_metrics metrics;
    /* Read by any thread. */
    _Atomic uint32_t min;
    _Atomic uint32_t max;
    _Atomic int64_t wait_ms;
    _Atomic uint64_t grown;
    _Atomic uint64_t shrunk;
    _Atomic uint64_t held_back[POOL_HOLDS];
};

/** How many threads there are to be by @what, where @now is how many there are; 0: none. */
uint32_t subscription_pool_size(const struct runtime_subscription *what, uint32_t now);
/** The range that @what says; runtime_count_pools() is due. */
void subscription_pool_set(struct subscription *subscription,
                           const struct runtime_subscription *what);
/** A zeroed one is fine. */
void subscription_pool_done(struct subscription *subscription);
/** For a collector. Thread: any. */
void subscription_pool_put(struct subscription *subscription);
/** WARREN_OK or WARREN_ENOMEM. */
enum warren_status runtime_pools_init(struct runtime *runtime);
/** A zeroed one is fine. */
void runtime_pools_done(struct runtime *runtime);
/** There are other subscriptions, or ranges. */
void runtime_count_pools(struct runtime *runtime);
/** Look from now on, if there is anything to look at. */
void runtime_begin_pools(struct runtime *runtime);

#endif
