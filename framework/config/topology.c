#include "config/topology.h"

#include <string.h>

#include "config/arguments.h"
#include "config/mapping.h"
#include "config/secret.h"

/* Rows are read by position below. */
enum {
    EXCHANGE_NAME,
    EXCHANGE_TYPE,
    EXCHANGE_DURABLE,
    EXCHANGE_AUTO_DELETE,
    EXCHANGE_INTERNAL,
    EXCHANGE_PASSIVE,
    EXCHANGE_ROWS
};

const struct warren_option config_exchange_table[] = {
    {"name", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The exchange's name."},
    {"type", WARREN_OPTION_STRING, "direct", 0, 0, NULL,
     "`direct`, `fanout`, `topic`, `headers`, or a plugin's type, which begins with `x-`."},
    {"durable", WARREN_OPTION_BOOL, "true", 0, 0, NULL, "It survives a restart of the broker."},
    {"auto_delete", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "It is deleted when its last binding goes."},
    {"internal", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Nobody may publish to it; it only takes from other exchanges."},
    {"passive", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Only check that it exists, for users who may not declare."},
    {0},
};

enum {
    QUEUE_NAME,
    QUEUE_TYPE,
    QUEUE_DURABLE,
    QUEUE_EXCLUSIVE,
    QUEUE_AUTO_DELETE,
    QUEUE_PASSIVE,
    QUEUE_ROWS
};

const struct warren_option config_queue_table[] = {
    {"name", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The queue's name."},
    {"type", WARREN_OPTION_ENUM, "quorum", 0, 0, "quorum|classic|stream",
     "The kind of queue; it becomes `x-queue-type`."},
    {"durable", WARREN_OPTION_BOOL, "true", 0, 0, NULL,
     "It survives a restart of the broker. Only a classic queue may be otherwise."},
    {"exclusive", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Only this connection may use it, and it goes with it. Classic queues only."},
    {"auto_delete", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "It is deleted when its last consumer goes. Classic queues only."},
    {"passive", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Only check that it exists, for users who may not declare."},
    {0},
};

enum { BINDING_EXCHANGE, BINDING_QUEUE, BINDING_TO_EXCHANGE, BINDING_ROUTING_KEY, BINDING_ROWS };

const struct warren_option config_binding_table[] = {
    {"exchange", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "Where messages come from."},
    {"queue", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "The queue that they go to. Either this or `to_exchange`."},
    {"to_exchange", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "The exchange that they go to (a RabbitMQ extension)."},
    {"routing_key", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "Key or pattern, as the exchange's type wants it."},
    {0},
};

static const char *const extra_keys[] = {"arguments", NULL};

typedef enum warren_status read_item_fn(struct config_scope *scope, const struct config_node *node,
                                        void *items, size_t index);

static enum warren_status read_arguments(struct config_scope *scope, const struct config_node *node,
                                         struct warren_table *table)
{
    return config_arguments_read(scope, config_node_get(node, "arguments"), table);
}

static enum warren_status already(struct config_scope *scope, const struct config_node *node,
                                  const char *what, const char *name)
{
    char word[CONFIG_WORD_SIZE];

    return config_fail(scope, node, "the %s '%s' stands twice in topology", what,
                       config_mask(name, word, sizeof word));
}

static enum warren_status check_exchange(struct config_scope *scope,
                                         const struct config_value *values,
                                         const struct config_exchange *exchange)
{
    static const char types[] = "direct|fanout|topic|headers";
    const struct config_node *node = values[EXCHANGE_TYPE].node;
    char near[CONFIG_WORD_SIZE] = "";
    char word[CONFIG_WORD_SIZE];
    enum warren_status status = config_check_name(scope, values[EXCHANGE_NAME].node,
                                                  "the name of an exchange", exchange->name);

    if (status == WARREN_OK)
        status = config_check_name(scope, node, "the type of an exchange", exchange->type);
    if (status != WARREN_OK || strncmp(exchange->type, "x-", 2) == 0)
        return status;
    for (const char *type = types; *type; type += strcspn(type, "|") + (strchr(type, '|') != NULL))
        if (strlen(exchange->type) == strcspn(type, "|") &&
            strncmp(exchange->type, type, strlen(exchange->type)) == 0)
            return WARREN_OK;
    config_nearest_choice(exchange->type, types, near, sizeof near);
    return config_fail(scope, node,
                       "the type of an exchange is '%s', expected direct, fanout, topic, headers, "
                       "or x-...%s%s%s",
                       config_mask(exchange->type, word, sizeof word),
                       *near ? "; did you mean '" : "", near, *near ? "'?" : "");
}

static enum warren_status read_exchange(struct config_scope *scope, const struct config_node *node,
                                        void *items, size_t index)
{
    struct config_exchange *exchanges = items;
    struct config_exchange *exchange = &exchanges[index];
    struct config_value values[EXCHANGE_ROWS] = {0};
    enum warren_status status =
        config_mapping_read(scope, node, "an exchange", config_exchange_table, extra_keys, values);

    if (status != WARREN_OK)
        return status;
    *exchange = (struct config_exchange){
        .name = values[EXCHANGE_NAME].text,
        .type = values[EXCHANGE_TYPE].text,
        .durable = values[EXCHANGE_DURABLE].boolean,
        .auto_delete = values[EXCHANGE_AUTO_DELETE].boolean,
        .internal = values[EXCHANGE_INTERNAL].boolean,
        .passive = values[EXCHANGE_PASSIVE].boolean,
    };
    status = check_exchange(scope, values, exchange);
    if (status != WARREN_OK)
        return status;
    for (size_t i = 0; i < index; i++)
        if (strcmp(exchanges[i].name, exchange->name) == 0)
            return already(scope, values[EXCHANGE_NAME].node, "exchange", exchange->name);
    return read_arguments(scope, node, &exchange->arguments);
}

/* The broker would answer 406; here the line is known. */
static enum warren_status check_queue(struct config_scope *scope, const struct config_node *node,
                                      const struct config_queue *queue)
{
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

static enum warren_status read_queue(struct config_scope *scope, const struct config_node *node,
                                     void *items, size_t index)
{
    struct config_queue *queues = items;
    struct config_queue *queue = &queues[index];
    struct config_value values[QUEUE_ROWS] = {0};
    enum warren_status status =
        config_mapping_read(scope, node, "a queue", config_queue_table, extra_keys, values);

    if (status != WARREN_OK)
        return status;
    *queue = (struct config_queue){
        .name = values[QUEUE_NAME].text,
        .type = values[QUEUE_TYPE].text,
        .durable = values[QUEUE_DURABLE].boolean,
        .exclusive = values[QUEUE_EXCLUSIVE].boolean,
        .auto_delete = values[QUEUE_AUTO_DELETE].boolean,
        .passive = values[QUEUE_PASSIVE].boolean,
    };
    status = config_check_name(scope, values[QUEUE_NAME].node, "the name of a queue", queue->name);
    if (status == WARREN_OK)
        status = check_queue(scope, node, queue);
    if (status != WARREN_OK)
        return status;
    for (size_t i = 0; i < index; i++)
        if (strcmp(queues[i].name, queue->name) == 0)
            return already(scope, values[QUEUE_NAME].node, "queue", queue->name);
    return read_arguments(scope, node, &queue->arguments);
}

static enum warren_status read_binding(struct config_scope *scope, const struct config_node *node,
                                       void *items, size_t index)
{
    struct config_binding *binding = (struct config_binding *)items + index;
    struct config_value values[BINDING_ROWS] = {0};
    const char *key;
    bool to_exchange;
    enum warren_status status =
        config_mapping_read(scope, node, "a binding", config_binding_table, extra_keys, values);

    if (status != WARREN_OK)
        return status;
    key = values[BINDING_ROUTING_KEY].text;
    to_exchange = *values[BINDING_TO_EXCHANGE].text;
    if (to_exchange == (*values[BINDING_QUEUE].text != '\0'))
        return config_fail(scope, node, "a binding needs either 'queue' or 'to_exchange'");
    *binding = (struct config_binding){
        .source = values[BINDING_EXCHANGE].text,
        .destination = values[to_exchange ? BINDING_TO_EXCHANGE : BINDING_QUEUE].text,
        .to_exchange = to_exchange,
        .routing_key = key,
    };
    status = config_check_name(scope, values[BINDING_EXCHANGE].node,
                               "the exchange of a binding (the default exchange takes none)",
                               binding->source);
    if (status == WARREN_OK)
        status =
            config_check_name(scope, node, "the destination of a binding", binding->destination);
    if (status == WARREN_OK && *key)
        status = config_check_name(scope, values[BINDING_ROUTING_KEY].node, "the routing key", key);
    return status == WARREN_OK ? read_arguments(scope, node, &binding->arguments) : status;
}

static enum warren_status read_list(struct config_scope *scope, const struct config_node *topology,
                                    const char *name, size_t item_size, read_item_fn *read_item,
                                    void **ret_items, size_t *ret_count)
{
    const struct config_node *node = config_node_get(topology, name);
    enum warren_status status = WARREN_OK;
    void *items;

    *ret_items = NULL;
    *ret_count = 0;
    if (!node || config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_SEQUENCE)
        return config_fail(scope, node, "topology.%s must be a list (lines that begin with -)",
                           name);
    items = arena_alloc(scope->arena, node->count * item_size);
    if (!items)
        return config_nomem(scope);
    *ret_items = items;
    for (size_t i = 0; i < node->count && status == WARREN_OK; i++)
        status = read_item(scope, node->items[i], items, i);
    *ret_count = node->count;
    return status;
}

static enum warren_status check_keys(struct config_scope *scope, const struct config_node *node)
{
    static const char *const keys[] = {"exchanges", "queues", "bindings"};

    if (node->kind != CONFIG_MAPPING)
        return config_fail(scope, node, "topology must be a mapping (key: value)");
    for (size_t i = 0; i < node->count; i += 2) {
        const char *key = node->items[i]->text;

        if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0 && strcmp(key, keys[2]) != 0)
            return config_unknown_key(scope, node->items[i], "topology", keys, 3);
    }
    return WARREN_OK;
}

enum warren_status config_topology_read(struct config_scope *scope, const struct config_node *node,
                                        struct config_topology *topology)
{
    void *exchanges = NULL;
    void *queues = NULL;
    void *bindings = NULL;
    enum warren_status status;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    status = check_keys(scope, node);
    if (status == WARREN_OK)
        status = read_list(scope, node, "exchanges", sizeof(struct config_exchange), read_exchange,
                           &exchanges, &topology->exchange_count);
    if (status == WARREN_OK)
        status = read_list(scope, node, "queues", sizeof(struct config_queue), read_queue, &queues,
                           &topology->queue_count);
    if (status == WARREN_OK)
        status = read_list(scope, node, "bindings", sizeof(struct config_binding), read_binding,
                           &bindings, &topology->binding_count);
    topology->exchanges = exchanges;
    topology->queues = queues;
    topology->bindings = bindings;
    return status;
}
