/* fair.c - `fair:` of a subscription: whose messages take turns, and how much each may have. */
#include <inttypes.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

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

    if (subscription->prefetch + ordered + fair->held <= CONFIG_PREFETCH_MAX)
        return WARREN_OK;
    return config_fail(scope, fair->written.node,
                       "prefetch (%" PRId64 ") and held (%" PRId64 "%s) of a fair subscription "
                       "must not exceed %d together",
                       subscription->prefetch, fair->held,
                       ordered > 0 ? ", beside that of its order" : "", CONFIG_PREFETCH_MAX);
}

enum warren_status config_fair_read(struct config_scope *scope,
                                    struct config_subscription *subscription)
{
    static const struct config_part part = {
        .table = &config_fair_table,
        .name = "fair",
        .what = "the fairness of a subscription",
        .example = "{by: header:customer, concurrency: 2}",
    };
    enum warren_status status;
    struct config_fair *fair = config_part_read(
        scope, config_node_get(subscription->written.node, "fair"), &part, &status);

    if (!fair)
        return status;
    fair->without = missing_of(fair->missing);
    subscription->fair = fair;
    status = config_key_read(scope, fair->written.values[0].node, fair->by,
                             "header:NAME or routing_key", &fair->key);
    if (status == WARREN_OK)
        status = check_rate(scope, fair);
    return status == WARREN_OK ? check_room(scope, subscription) : status;
}
