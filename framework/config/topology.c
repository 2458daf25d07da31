#include "config/topology.h"

#include <string.h>

#include "config/items.h"
#include "config/mapping.h"

/* Which lists there are. */
enum { EXCHANGES, QUEUES, BINDINGS, LISTS };

static const struct warren_option keys[] = {
    {.name = "exchanges", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {.name = "queues", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {.name = "bindings", .type = (enum warren_option_type)WARREN_OPTION_MAPPING, .fallback = ""},
    {0},
};

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
        status = config_items_read(scope, private, &lists[i], values[i].node,
                                   private->config.subscription_count, &items[i], &counts[i]);
    topology->exchanges = private->exchanges = items[EXCHANGES];
    topology->exchange_count = counts[EXCHANGES];
    topology->queues = private->queues = items[QUEUES];
    topology->queue_count = counts[QUEUES];
    topology->bindings = private->bindings = items[BINDINGS];
    topology->binding_count = counts[BINDINGS];
    return status;
}
