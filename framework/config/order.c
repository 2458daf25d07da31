/* order.c - `order:` of a subscription: by what its messages are ordered. */
#include <inttypes.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

static enum config_order_missing missing_of(const char *word)
{
    if (strcmp(word, "unordered") == 0)
        return ORDER_MISSING_UNORDERED;
    return strcmp(word, "reject") == 0 ? ORDER_MISSING_REJECT : ORDER_MISSING_ONE;
}

enum warren_status config_order_read(struct config_scope *scope,
                                     struct config_subscription *subscription)
{
    static const struct config_part part = {
        .table = &config_order_table,
        .name = "order",
        .what = "the order of a subscription",
        .example = "{by: header:customer}",
    };
    enum warren_status status;
    struct config_order *order = config_part_read(
        scope, config_node_get(subscription->written.node, "order"), &part, &status);

    if (!order)
        return status;
    order->without = missing_of(order->missing);
    order->skips = strcmp(order->on_failure, "skip") == 0;
    status = config_key_read(scope, order->written.values[0].node, order->by,
                             "header:NAME, routing_key, message_id or handler", &order->key);
    if (status == WARREN_OK && subscription->prefetch + order->held > CONFIG_PREFETCH_MAX)
        status = config_fail(scope, order->written.node,
                             "prefetch (%" PRId64 ") and held (%" PRId64
                             ") of an ordered subscription must not exceed %d together",
                             subscription->prefetch, order->held, CONFIG_PREFETCH_MAX);
    subscription->order = order;
    return status;
}
