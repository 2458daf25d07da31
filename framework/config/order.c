/* order.c - `order:` of a subscription: by what its messages are ordered. */
#include <inttypes.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

/* What basic.qos can say. */
#define PREFETCH_MOST 65535

static enum config_order_missing missing_of(const char *word)
{
    if (strcmp(word, "unordered") == 0)
        return ORDER_MISSING_UNORDERED;
    return strcmp(word, "reject") == 0 ? ORDER_MISSING_REJECT : ORDER_MISSING_ONE;
}

enum warren_status config_order_read(struct config_scope *scope,
                                     struct config_subscription *subscription)
{
    const struct config_node *node = config_node_get(subscription->written.node, "order");
    const struct warren_option *rows = config_order_table.rows;
    struct config_order *order;
    struct config_value *values;
    enum warren_status status;

    if (!node)
        return WARREN_OK;
    if (config_node_empty(node)) /* a promise that was asked for, and then forgotten */
        return config_fail(
            scope, node,
            "order is empty, expected a mapping such as `order: {by: header:customer}`");
    order = arena_alloc(scope->arena, sizeof *order);
    values = config_values_new(scope, rows);
    if (!order || !values)
        return config_nomem(scope);
    status = config_mapping_read(scope, node, "the order of a subscription", rows, values);
    if (status != WARREN_OK)
        return status;
    *order = (struct config_order){.written = {node, values}};
    config_store(&config_order_table, values, order);
    order->without = missing_of(order->missing);
    order->skips = strcmp(order->on_failure, "skip") == 0;
    status = config_key_read(scope, values[0].node, order->by,
                             "header:NAME, routing_key, message_id or handler", &order->key);
    if (status == WARREN_OK && subscription->prefetch + order->held > PREFETCH_MOST)
        status = config_fail(scope, node,
                             "prefetch (%" PRId64 ") and held (%" PRId64
                             ") of an ordered subscription must not exceed %d together",
                             subscription->prefetch, order->held, PREFETCH_MOST);
    subscription->order = order;
    return status;
}
