/* order.c - `order:` of a subscription: by what its messages are ordered. */
#include <inttypes.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"
#include "config/secret.h"

/* Of a header, as the wire has it. */
#define NAME_MAX_BYTES 255
#define HEADER         "header:"
/* What basic.qos can say. */
#define PREFETCH_MOST 65535

static enum warren_status bad_key(struct config_scope *scope, const struct config_order *order)
{
    char word[CONFIG_WORD_SIZE];

    return config_fail(scope, order->written.values[0].node,
                       "by is '%s', expected header:NAME, routing_key, message_id or handler",
                       config_mask(order->by, word, sizeof word));
}

static enum warren_status read_header(struct config_scope *scope, struct config_order *order)
{
    order->source = ORDER_BY_HEADER;
    order->header = order->by + strlen(HEADER);
    if (!*order->header)
        return config_fail(scope, order->written.values[0].node,
                           "by is 'header:' without a name, expected such as header:customer");
    if (strlen(order->header) <= NAME_MAX_BYTES)
        return WARREN_OK;
    return config_fail(scope, order->written.values[0].node,
                       "by: the name of a header has at most %d bytes, and this one %zu",
                       NAME_MAX_BYTES, strlen(order->header));
}

static enum warren_status read_key(struct config_scope *scope, struct config_order *order)
{
    static const struct {
        const char *name;
        enum config_order_by source;
    } sources[] = {{"routing_key", ORDER_BY_ROUTING_KEY},
                   {"message_id", ORDER_BY_MESSAGE_ID},
                   {"handler", ORDER_BY_HANDLER}};

    if (strncmp(order->by, HEADER, strlen(HEADER)) == 0)
        return read_header(scope, order);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(order->by, sources[i].name) == 0) {
            order->source = sources[i].source;
            return WARREN_OK;
        }
    return bad_key(scope, order);
}

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

    if (!node || config_node_empty(node))
        return WARREN_OK;
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
    status = read_key(scope, order);
    if (status == WARREN_OK && subscription->prefetch + order->held > PREFETCH_MOST)
        status = config_fail(scope, node,
                             "prefetch (%" PRId64 ") and held (%" PRId64
                             ") of an ordered subscription must not exceed %d together",
                             subscription->prefetch, order->held, PREFETCH_MOST);
    subscription->order = order;
    return status;
}
