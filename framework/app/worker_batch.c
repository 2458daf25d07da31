#include "app/worker_batch.h"

#include "base/error.h"
#include "config/node.h"

enum warren_status worker_batch_check(const struct worker_setup *setup, struct warren_error *error)
{
    for (size_t i = 0; i < setup->config->subscription_count; i++) {
        const struct setup_subscription *subscription = &setup->subscriptions[i];
        const struct config_batch *batch = subscription->config->batch;
        char where[CONFIG_WHERE_SIZE];

        if (!batch || subscription->handler->handle_batch)
            continue;
        config_node_where(batch->written.node, where, sizeof where);
        return error_set(error, WARREN_ECONFIG,
                         "%s: batch: %s takes one message at a time, expected a handler with "
                         "`handle_batch`",
                         where, subscription->config->handler);
    }
    return WARREN_OK;
}
