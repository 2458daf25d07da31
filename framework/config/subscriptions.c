#include "config/subscriptions.h"

#include <string.h>

#include "config/items.h"
#include "config/middlewares.h"
#include "config/secret.h"

/* PLUGIN.HANDLER: one dot at least, and something on both sides of the first. */
static enum warren_status check_handler(struct config_scope *scope,
                                        const struct config_subscription *subscription)
{
    const char *handler = subscription->handler;
    const char *dot = strchr(handler, '.');
    char word[CONFIG_WORD_SIZE];

    if (dot && dot != handler && dot[1])
        return WARREN_OK;
    return config_fail(scope, config_node_get(subscription->written.node, "handler"),
                       "handler is '%s', expected PLUGIN.HANDLER, such as log.write",
                       config_mask(handler, word, sizeof word));
}

/* Without a list the chain is the standard one; an empty list is a chain without links. */
static enum warren_status finish(struct config_scope *scope, void *item)
{
    struct config_subscription *subscription = item;
    const struct config_node *node = subscription->written.node;
    enum warren_status status = check_handler(scope, subscription);

    if (status != WARREN_OK)
        return status;
    subscription->where = config_print(scope, "%s:%zu", node->source->name, node->line);
    if (!subscription->where)
        return config_nomem(scope);
    if (!subscription->middleware || config_node_empty(subscription->middleware))
        return WARREN_OK;
    subscription->own_chain = true;
    return config_chain_read(scope, subscription->middleware, &subscription->chain,
                             &subscription->chain_count);
}

enum warren_status config_subscriptions_read(struct config_scope *scope,
                                             struct config_private *private,
                                             const struct config_node *node)
{
    static const struct config_list list = {"subscriptions", &config_subscription_table, finish};
    void *items = NULL;
    enum warren_status status = config_items_read(scope, private, &list, node, 0, &items,
                                                  &private->config.subscription_count);

    private->config.subscriptions = private->subscriptions = items;
    return status;
}
