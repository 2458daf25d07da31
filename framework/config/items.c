#include "config/options.h"

#include <stdio.h>
#include <string.h>

#include "config/document.h"
#include "config/mapping.h"
#include "config/secret.h"

/* How many priorities a queue has. */
#define MAX_PRIORITY  "x-max-priority"
#define PRIORITY_MOST 255

/* A list of the file. */
struct config_list {
    const char *name; /* "topology.queues" */
    const struct config_table *table;
    /* What no row can say of an item that is read otherwise; may complete it. NULL: nothing. */
    enum warren_status (*finish)(struct config_scope *scope, void *item);
};

static void inherit(const struct config_private *config, const struct config_table *table,
                    struct config_value *values)
{
    for (size_t i = 0; table->rows[i].name; i++)
        if (table->places[i].flags & CONFIG_OPTION_INHERITS) {
            values[i] =
                config->values[config_option_find(table->rows[i].fallback) - config_options];
            values[i].given = true;
        }
}

/* RabbitMQ takes them out of the names of queues and exchanges (seen in 3.10 to 4.3), so that it
 * would have another one. */
static enum warren_status check_line_ends(struct config_scope *scope,
                                          const struct config_node *node, const char *what,
                                          const char *name)
{
    if (!strpbrk(name, "\r\n"))
        return WARREN_OK;
    return config_fail(scope, node, "%s must have no line ends: RabbitMQ takes them out", what);
}

static enum warren_status check_names(struct config_scope *scope, const struct config_table *table,
                                      const struct config_value *values)
{
    enum warren_status status = WARREN_OK;
    char what[CONFIG_WORD_SIZE];

    for (size_t i = 0; table->rows[i].name && status == WARREN_OK; i++) {
        const char *fallback = table->rows[i].fallback;

        if (!(table->places[i].flags & CONFIG_OPTION_NAME) ||
            (fallback && strcmp(values[i].text, fallback) == 0))
            continue;
        snprintf(what, sizeof what, "the %s of %s", table->rows[i].name, table->what);
        status = config_check_name(scope, values[i].node, what, values[i].text);
        if (status == WARREN_OK && strcmp(table->rows[i].name, "routing_key") != 0)
            status = check_line_ends(scope, values[i].node, what, values[i].text);
    }
    return status;
}

static enum warren_status read_item(struct config_scope *scope, const struct config_private *config,
                                    const struct config_list *list, const struct config_node *node,
                                    void *item)
{
    const struct config_table *table = list->table;
    struct config_value *values = config_values_new(scope, table->rows);
    enum warren_status status;

    if (!values)
        return config_nomem(scope);
    inherit(config, table, values);
    status = config_mapping_read(scope, node, table->what, table->rows, values);
    if (status == WARREN_OK)
        status = check_names(scope, table, values);
    if (status != WARREN_OK)
        return status;
    memset(item, 0, table->size);
    *(struct config_written *)item = (struct config_written){node, values};
    config_store(table, values, item);
    return list->finish ? list->finish(scope, item) : WARREN_OK;
}

/* Of a list with a KEY, which is the first row. */
static enum warren_status check_twice(struct config_scope *scope, const struct config_list *list,
                                      const char *items, size_t index)
{
    const struct config_table *table = list->table;
    const struct config_written *item = (const void *)(items + index * table->size);
    char word[CONFIG_WORD_SIZE];

    if ((table->places[0].flags & CONFIG_OPTION_KEY) != CONFIG_OPTION_KEY)
        return WARREN_OK;
    for (size_t i = 0; i < index; i++) {
        const struct config_written *other = (const void *)(items + i * table->size);

        if (strcmp(other->values[0].text, item->values[0].text) == 0)
            return config_fail(scope, item->values[0].node, "the %s '%s' stands twice in %s",
                               strchr(table->what, ' ') + 1,
                               config_mask(item->values[0].text, word, sizeof word), list->name);
    }
    return WARREN_OK;
}

/*
 * Read @node, a list (NULL and empty are fine), into structs of the list's table.
 *
 * @config     what is not given is inherited from it
 * @room       the most items that may be added
 * @ret_items  in @scope->arena
 */
static enum warren_status read_list(struct config_scope *scope, const struct config_private *config,
                                    const struct config_list *list, const struct config_node *node,
                                    size_t room, void **ret_items, size_t *ret_count)
{
    size_t size = list->table->size;
    enum warren_status status = WARREN_OK;
    char *items;

    *ret_count = node && !config_node_empty(node) ? node->count : 0;
    if (node && !config_node_empty(node) && node->kind != CONFIG_SEQUENCE)
        return config_fail(scope, node, "%s must be a list (lines that begin with -)", list->name);
    if (*ret_count > CONFIG_ITEMS_MAX)
        return config_fail(scope, node->items[CONFIG_ITEMS_MAX], "more than %d items in %s",
                           CONFIG_ITEMS_MAX, list->name);
    items = arena_alloc(scope->arena, (*ret_count + room) * size);
    if (!items)
        return config_nomem(scope);
    *ret_items = items;
    for (size_t i = 0; i < *ret_count && status == WARREN_OK; i++) {
        status = read_item(scope, config, list, node->items[i], items + i * size);
        if (status == WARREN_OK)
            status = check_twice(scope, list, items, i);
    }
    return status;
}

/* ---- subscriptions ---- */

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
static enum warren_status finish_subscription(struct config_scope *scope, void *item)
{
    struct config_subscription *subscription = item;
    const struct config_node *node = subscription->written.node;
    enum warren_status status = check_handler(scope, subscription);

    if (status != WARREN_OK)
        return status;
    subscription->where = config_print(scope, "%s:%zu", node->source->name, node->line);
    if (!subscription->where)
        return config_nomem(scope);
    status = config_order_read(scope, subscription);
    if (status == WARREN_OK)
        status = config_fair_read(scope, subscription);
    if (status == WARREN_OK)
        status = config_lanes_read(scope, subscription);
    if (status == WARREN_OK)
        status = config_shards_read(scope, subscription);
    if (status == WARREN_OK)
        status = config_batch_read(scope, subscription);
    if (status != WARREN_OK)
        return status;
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
    static const struct config_list list = {"subscriptions", &config_subscription_table,
                                            finish_subscription};
    void *items = NULL;
    size_t room = node && node->kind == CONFIG_SEQUENCE ? node->count : 0; /* slow lanes */
    enum warren_status status =
        read_list(scope, private, &list, node, room, &items, &private->config.subscription_count);

    private->config.subscriptions = private->subscriptions = items;
    if (status == WARREN_OK)
        status = config_shards_add(scope, private, room);
    return status == WARREN_OK ? config_lanes_add(scope, private) : status;
}

/* ---- topology ---- */

/* Items that a subscription may add to each: of shards a queue and its seat, its dead-letter queue.
 */
#define ADDED_MAX 3

/* Which lists there are. */
enum { EXCHANGES, QUEUES, BINDINGS, LISTS };

static const struct warren_option keys[] = {
    {.name = "exchanges", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {.name = "queues", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {.name = "bindings", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {0},
};

static enum warren_status check_priority(struct config_scope *scope,
                                         const struct config_queue *queue,
                                         const struct config_node *arguments)
{
    const struct warren_value *most = warren_table_get(&queue->arguments, MAX_PRIORITY);
    const struct config_node *node = most ? config_node_get(arguments, MAX_PRIORITY) : NULL;

    if (!most)
        return WARREN_OK;
    if (strcmp(queue->type, "stream") == 0)
        return config_fail(scope, node,
                           MAX_PRIORITY " is no argument of a stream, which has no priorities");
    if (most->type == WARREN_I64 && most->as.integer >= 0 && most->as.integer <= PRIORITY_MOST)
        return WARREN_OK;
    return config_fail(scope, node, MAX_PRIORITY " must be a whole number from 0 to %d",
                       PRIORITY_MOST);
}

/* The broker would answer 406; here the line is known. */
static enum warren_status finish_queue(struct config_scope *scope, void *item)
{
    const struct config_queue *queue = item;
    const struct config_node *node = queue->written.node;
    const struct config_node *arguments = config_node_get(node, "arguments");
    const struct config_node *type = arguments ? config_node_get(arguments, "x-queue-type") : NULL;

    if (type)
        return config_fail(scope, type,
                           "x-queue-type is not an argument here; write 'type:' "
                           "beside the queue's name");
    if (check_priority(scope, queue, arguments) != WARREN_OK)
        return WARREN_ECONFIG;
    if (queue->passive || strcmp(queue->type, "classic") == 0)
        return WARREN_OK;
    if (!queue->durable || queue->exclusive || queue->auto_delete)
        return config_fail(scope, node,
                           "a %s queue cannot be %s; write 'type: classic' for such a queue",
                           queue->type,
                           !queue->durable    ? "transient (durable: false)"
                           : queue->exclusive ? "exclusive"
                                              : "auto_delete");
    return WARREN_OK;
}

static enum warren_status finish_binding(struct config_scope *scope, void *item)
{
    struct config_binding *binding = item;

    binding->to_exchange = *binding->exchange;
    binding->destination = binding->to_exchange ? binding->exchange : binding->queue;
    if (binding->to_exchange == (*binding->queue != '\0'))
        return config_fail(scope, binding->written.node,
                           "a binding needs either 'queue' or 'to_exchange'");
    return config_check_name(scope, binding->written.values[0].node,
                             "the exchange of a binding (the default exchange takes none)",
                             binding->source);
}

enum warren_status config_topology_read(struct config_scope *scope, struct config_private *private,
                                        const struct config_node *node)
{
    static const struct config_list lists[] = {
        [EXCHANGES] = {"topology.exchanges", &config_exchange_table, NULL},
        [QUEUES] = {"topology.queues", &config_queue_table, finish_queue},
        [BINDINGS] = {"topology.bindings", &config_binding_table, finish_binding},
    };
    struct config_topology *topology = &private->config.topology;
    struct config_value values[LISTS] = {0};
    size_t counts[LISTS] = {0};
    void *items[LISTS] = {NULL};
    enum warren_status status = WARREN_OK;

    if (node && !config_node_empty(node))
        status = config_mapping_check(scope, node, "topology", keys, values);
    for (size_t i = 0; i < LISTS && status == WARREN_OK; i++)
        status = read_list(scope, private, &lists[i], values[i].node,
                           ADDED_MAX * private->config.subscription_count, &items[i], &counts[i]);
    topology->exchanges = private->exchanges = items[EXCHANGES];
    topology->exchange_count = counts[EXCHANGES];
    topology->queues = private->queues = items[QUEUES];
    topology->queue_count = counts[QUEUES];
    topology->bindings = private->bindings = items[BINDINGS];
    topology->binding_count = counts[BINDINGS];
    return status;
}
