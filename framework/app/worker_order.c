#include "app/worker_order.h"

#include <inttypes.h>

#include "base/error.h"
#include "config/node.h"
#include "config/value.h"
#include "consume/runtime/admission.h"
#include "middleware/builtin.h"

static enum warren_status check_handler(const struct setup_subscription *subscription,
                                        struct warren_error *error)
{
    const struct config_order *order = subscription->config->order;
    char where[CONFIG_WHERE_SIZE];

    if (order->key.source != ORDER_BY_HANDLER || subscription->handler->key)
        return WARREN_OK;
    config_node_where(order->written.values[0].node, where, sizeof where);
    return error_set(error, WARREN_ECONFIG,
                     "%s: by is handler, and %s has no key function, expected header:NAME, "
                     "routing_key or message_id",
                     where, subscription->config->handler);
}

/* A delay queue would lose the order, and the broker does not leave a message here for ever. */
static enum warren_status check_retry(const struct setup_subscription *subscription,
                                      struct warren_error *error)
{
    const struct config_subscription *config = subscription->config;
    const struct config_middleware *retry = config_find_link(config, middleware_retry.name);
    char where[CONFIG_WHERE_SIZE];
    int64_t max_ms;

    if (config->order->skips || !retry || !retry->options)
        return WARREN_OK;
    max_ms = warren_options_int(retry->options, "max_delay");
    if (max_ms <= ADMISSION_DELAY_MAX_MS)
        return WARREN_OK;
    config_node_where(config->order->written.node, where, sizeof where);
    return error_set(
        error, WARREN_ECONFIG,
        "%s: retry's max_delay is %" PRId64
        " s; with order and on_failure: wait a message waits in memory, for 15 minutes "
        "at most: shorten it, or say on_failure: skip",
        where, max_ms / 1000);
}

enum warren_status worker_order_check(const struct worker_setup *setup, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < setup->config->subscription_count; i++) {
        if (!setup->subscriptions[i].config->order)
            continue;
        status = check_handler(&setup->subscriptions[i], error);
        if (status == WARREN_OK)
            status = check_retry(&setup->subscriptions[i], error);
    }
    return status;
}
