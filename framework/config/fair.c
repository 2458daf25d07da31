/* fair.c - `fair:` of a subscription: whose messages take turns, and how much each may have. */
#include <inttypes.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

/* What basic.qos can say. */
#define PREFETCH_MOST 65535

static enum config_fair_missing missing_of(const char *word)
{
    if (strcmp(word, "free") == 0)
        return FAIR_MISSING_FREE;
    return strcmp(word, "reject") == 0 ? FAIR_MISSING_REJECT : FAIR_MISSING_ONE;
}

/* @return the row's value, for its place in the file */
static const struct config_node *node_of(const struct config_fair *fair, const char *name)
{
    return config_node_get(fair->written.node, name);
}

static enum warren_status check_rate(struct config_scope *scope, const struct config_fair *fair)
{
    const struct config_node *node =
        node_of(fair, "burst") ? node_of(fair, "burst") : node_of(fair, "per");

    if (fair->rate > 0 || !node)
        return WARREN_OK;
    return config_fail(scope, node, "%s needs a rate beside it, such as rate: 100",
                       node_of(fair, "burst") ? "burst" : "per");
}

/* What waits takes places of its own, so the broker is asked for all of them. */
static enum warren_status check_room(struct config_scope *scope,
                                     const struct config_subscription *subscription)
{
    const struct config_fair *fair = subscription->fair;
    int64_t ordered = subscription->order ? subscription->order->held : 0;

    if (subscription->prefetch + ordered + fair->held <= PREFETCH_MOST)
        return WARREN_OK;
    return config_fail(scope, fair->written.node,
                       "prefetch (%" PRId64 ") and held (%" PRId64 "%s) of a fair subscription "
                       "must not exceed %d together",
                       subscription->prefetch, fair->held,
                       ordered > 0 ? ", beside that of its order" : "", PREFETCH_MOST);
}

enum warren_status config_fair_read(struct config_scope *scope,
                                    struct config_subscription *subscription)
{
    const struct config_node *node = config_node_get(subscription->written.node, "fair");
    const struct warren_option *rows = config_fair_table.rows;
    struct config_fair *fair;
    struct config_value *values;
    enum warren_status status;

    if (!node)
        return WARREN_OK;
    if (config_node_empty(node)) /* a promise that was asked for, and then forgotten */
        return config_fail(scope, node,
                           "fair is empty, expected a mapping such as `fair: {by: header:customer, "
                           "concurrency: 2}`");
    fair = arena_alloc(scope->arena, sizeof *fair);
    values = config_values_new(scope, rows);
    if (!fair || !values)
        return config_nomem(scope);
    status = config_mapping_read(scope, node, "the fairness of a subscription", rows, values);
    if (status != WARREN_OK)
        return status;
    *fair = (struct config_fair){.written = {node, values}};
    config_store(&config_fair_table, values, fair);
    fair->without = missing_of(fair->missing);
    subscription->fair = fair;
    status =
        config_key_read(scope, values[0].node, fair->by, "header:NAME or routing_key", &fair->key);
    if (status == WARREN_OK)
        status = check_rate(scope, fair);
    return status == WARREN_OK ? check_room(scope, subscription) : status;
}
