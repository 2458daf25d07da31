/* idempotency.h - a message is handled once, however often it comes: what was done is looked up
 * ahead of the workers, and noted behind them before the acknowledgement leaves.
 * Thread: see <warren/middleware.h>. Elsewhere: the store and its thread (store/writer/keeper.h).
 */
#ifndef WARREN_MIDDLEWARE_IDEMPOTENCY_H
#define WARREN_MIDDLEWARE_IDEMPOTENCY_H

#include <warren/middleware.h>

/**
 * info->store is a struct keeper that outlives it but for keeper_free(). Without one (a
 * configuration is checked, a message is tried alone) every message is handled.
 */
extern const struct warren_middleware middleware_idempotency;

#endif
