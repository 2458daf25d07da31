/* worker_limits.h - warns where the broker gives a message up sooner than retry does, once each;
 * and how long the broker leaves a message to a consumer. Thread: main.
 * Elsewhere: limits that the worker did not choose (consume/runtime/limit_look.h).
 */
#ifndef WARREN_APP_WORKER_LIMITS_H
#define WARREN_APP_WORKER_LIMITS_H

#include <stdbool.h>

#include "config/config.h"

/** Queues whose x-delivery-limit, as written, is below the attempts. */
void worker_limits_at_start(const struct config *config);

/**
 * Would a broker that gives a message up after @limit deliveries (below 0: never) do so before
 * retry's last attempt? False where retry is not in the chain.
 *
 * @ret_attempts  of retry; 0: it has no limit, or there is none
 */
bool worker_limits_below(const struct config_subscription *subscription, int64_t limit,
                         int64_t *ret_attempts);

/** How long the broker waits for an ack from @queue: its own argument, or what is configured. */
int64_t worker_limits_ack_timeout_ms(const struct config *config, const char *queue);

/** What is left at @now_ms until @end_ms, within 0 and @most_ms. */
uint32_t worker_limits_left_ms(int64_t end_ms, int64_t now_ms, uint32_t most_ms);

#endif
