#include "config/subscriptions.h"

#include <stdio.h>
#include <string.h>

#include "config/arguments.h"
#include "config/mapping.h"
#include "config/middlewares.h"
#include "config/secret.h"

/* Rows are read by position below. */
enum { QUEUE, HANDLER, PREFETCH, PREFETCH_BYTES, CONCURRENCY, ON_GAP, ROWS };

const struct warren_option config_subscription_table[] = {
    {"queue", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The queue to consume from."},
    {"handler", WARREN_OPTION_STRING, NULL, 0, 0, NULL,
     "PLUGIN.HANDLER, by the name that the plugin gives itself."},
    {"prefetch", WARREN_OPTION_INT, "consumer.prefetch", CONFIG_PREFETCH_MIN, CONFIG_PREFETCH_MAX,
     NULL, "Unsettled deliveries, in messages."},
    {"prefetch_bytes", WARREN_OPTION_SIZE, "consumer.prefetch_bytes", 0, CONFIG_BYTES_MAX, NULL,
     "Unsettled deliveries, in bytes; 0 for no bound."},
    {"concurrency", WARREN_OPTION_INT, "consumer.concurrency", CONFIG_CONCURRENCY_MIN,
     CONFIG_CONCURRENCY_MAX, NULL, "How many messages are handled at once."},
    {"on_gap", WARREN_OPTION_ENUM, "continue", 0, 0, "continue|stop",
     "Where a stream's retention removed messages that were not handled: go on with a warning, or "
     "end the worker with an error."},
    {0},
};

static const char *const extra_keys[] = {"arguments", "options", "middleware", NULL};

/* PLUGIN.HANDLER: one dot at least, and something on both sides of the first. */
static enum warren_status check_handler(struct config_scope *scope, const struct config_node *node,
                                        const char *handler)
{
    const char *dot = strchr(handler, '.');
    char word[CONFIG_WORD_SIZE];

    if (dot && dot != handler && dot[1])
        return config_check_name(scope, node, "the name of a handler", handler);
    return config_fail(scope, node, "handler is '%s', expected PLUGIN.HANDLER, such as log.write",
                       config_mask(handler, word, sizeof word));
}

static const char *place_of(struct config_scope *scope, const struct config_node *node)
{
    char where[CONFIG_WHERE_SIZE];
    int len = snprintf(where, sizeof where, "%s:%zu", node->source->name, node->line);

    return arena_text(scope->arena, where,
                      len < (int)sizeof where ? (size_t)len : sizeof where - 1);
}

/* Without a list the chain is the standard one; an empty list is a chain without links. */
static enum warren_status read_chain(struct config_scope *scope, const struct config_node *node,
                                     struct config_subscription *subscription)
{
    if (!node || config_node_empty(node))
        return WARREN_OK;
    subscription->own_chain = true;
    return config_chain_read(scope, node, &subscription->chain, &subscription->chain_count);
}

static enum warren_status read_subscription(struct config_scope *scope,
                                            const struct config_node *node,
                                            const struct config *config,
                                            struct config_subscription *subscription)
{
    struct config_value values[ROWS] = {
        [PREFETCH] = {.given = true, .integer = config->consumer.prefetch},
        [PREFETCH_BYTES] = {.given = true, .integer = config->consumer.prefetch_bytes},
        [CONCURRENCY] = {.given = true, .integer = config->consumer.concurrency},
        [ON_GAP] = {.given = true, .text = "continue"},
    };
    enum warren_status status = config_mapping_read(scope, node, "a subscription",
                                                    config_subscription_table, extra_keys, values);

    if (status == WARREN_OK)
        status = config_check_name(scope, values[QUEUE].node, "the queue of a subscription",
                                   values[QUEUE].text);
    if (status == WARREN_OK)
        status = check_handler(scope, values[HANDLER].node, values[HANDLER].text);
    if (status != WARREN_OK)
        return status;
    *subscription = (struct config_subscription){
        .queue = values[QUEUE].text,
        .handler = values[HANDLER].text,
        .prefetch = (uint32_t)values[PREFETCH].integer,
        .prefetch_bytes = values[PREFETCH_BYTES].integer,
        .concurrency = (uint32_t)values[CONCURRENCY].integer,
        .stop_at_gap = strcmp(values[ON_GAP].text, "stop") == 0,
        .options = config_node_get(node, "options"),
        .all = node,
        .where = place_of(scope, node),
    };
    if (!subscription->where)
        return config_nomem(scope);
    status = read_chain(scope, config_node_get(node, "middleware"), subscription);
    if (status != WARREN_OK)
        return status;
    return config_arguments_read(scope, config_node_get(node, "arguments"),
                                 &subscription->arguments);
}

enum warren_status config_subscriptions_read(struct config_scope *scope,
                                             const struct config_node *node, struct config *config)
{
    struct config_subscription *items;
    enum warren_status status = WARREN_OK;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_SEQUENCE)
        return config_fail(scope, node, "subscriptions must be a list (lines that begin with -)");
    items = arena_alloc(scope->arena, node->count * sizeof *items);
    if (!items)
        return config_nomem(scope);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i++)
        status = read_subscription(scope, node->items[i], config, &items[i]);
    config->subscriptions = config->private->subscriptions = items;
    config->subscription_count = node->count;
    return status;
}
