#include "config/dead_letters.h"

#include <string.h>

#include "config/mapping.h"
#include "config/secret.h"

#define QUEUE_WORD "{queue}"

static const struct warren_value *argument(const struct config_queue *queue, const char *name)
{
    return warren_table_get(&queue->arguments, name);
}

/* ---- names ---- */

/* @pattern with each {queue} replaced. NULL: no memory. */
static const char *expand(struct config_scope *scope, const char *pattern, const char *queue)
{
    size_t word = strlen(QUEUE_WORD);
    size_t len = strlen(queue);
    char *name =
        arena_alloc(scope->arena, (strlen(pattern) / word + 1) * len + strlen(pattern) + 1);
    char *at = name;

    while (name && *pattern) {
        if (strncmp(pattern, QUEUE_WORD, word) == 0) {
            memcpy(at, queue, len);
            at += len;
            pattern += word;
        } else {
            *at++ = *pattern++;
        }
    }
    if (name)
        *at = '\0';
    return name;
}

static enum warren_status check_words(struct config_scope *scope, const struct config_node *node,
                                      const char *pattern)
{
    for (const char *at = strchr(pattern, '{'); at; at = strchr(at + 1, '{')) {
        size_t len = strcspn(at, "}");

        if (strncmp(at, QUEUE_WORD, strlen(QUEUE_WORD)) != 0)
            return config_fail(scope, node,
                               "'%.*s' stands for nothing; did you mean '" QUEUE_WORD "'?",
                               (int)(at[len] ? len + 1 : len), at);
    }
    return WARREN_OK;
}

/* What is wrong with the default is so because of the queue. */
static enum warren_status name_it(struct config_scope *scope, const struct config_value *option,
                                  const char *what, const struct config_subscription *subscription,
                                  const char **ret_name)
{
    const struct config_node *node = option->given ? option->node : subscription->all;
    const char *pattern = option->text ? option->text : "";
    enum warren_status status = check_words(scope, node, pattern);

    if (status != WARREN_OK)
        return status;
    *ret_name = expand(scope, pattern, subscription->queue);
    return *ret_name ? config_check_name(scope, node, what, *ret_name) : config_nomem(scope);
}

/* A fanout exchange that several queues share gives each dead letter to all of them. */
static enum warren_status check_shared(struct config_scope *scope,
                                       const struct config_private *private)
{
    const struct config *config = &private->config;

    for (size_t i = 1; i < config->subscription_count; i++) {
        const struct config_subscription *a = &config->subscriptions[0];
        const struct config_subscription *b = &config->subscriptions[i];

        if (strcmp(a->dead_exchange, b->dead_exchange) == 0 &&
            strcmp(a->dead_queue, b->dead_queue) != 0)
            return config_fail(scope, private->values[CONFIG_dead_letter_exchange].node,
                               "dead_letter.exchange needs " QUEUE_WORD
                               " in it, as dead_letter.queue has: every queue of one exchange "
                               "would get every dead letter");
    }
    return WARREN_OK;
}

static enum warren_status name_both(struct config_scope *scope, struct config_private *private,
                                    struct config_subscription *subscription)
{
    const struct config_value *of_queue = &private->values[CONFIG_dead_letter_queue];
    char word[CONFIG_WORD_SIZE];
    enum warren_status status =
        name_it(scope, &private->values[CONFIG_dead_letter_exchange],
                "the name of a dead-letter exchange", subscription, &subscription->dead_exchange);

    if (status == WARREN_OK)
        status = name_it(scope, of_queue, "the name of a dead-letter queue", subscription,
                         &subscription->dead_queue);
    if (status != WARREN_OK || strcmp(subscription->dead_queue, subscription->queue) != 0)
        return status;
    return config_fail(scope, of_queue->node,
                       "the dead-letter queue of '%s' is that queue itself; the default is "
                       "'" QUEUE_WORD ".dlq'",
                       config_mask(subscription->queue, word, sizeof word));
}

/* ---- what is declared ---- */

static const struct config_exchange *find_exchange(const struct config_topology *topology,
                                                   const char *name)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (strcmp(topology->exchanges[i].name, name) == 0)
            return &topology->exchanges[i];
    return NULL;
}

static const struct config_queue *find_queue(const struct config_topology *topology,
                                             const char *name)
{
    for (size_t i = 0; i < topology->queue_count; i++)
        if (strcmp(topology->queues[i].name, name) == 0)
            return &topology->queues[i];
    return NULL;
}

/* Room for what is written and for three items a subscription. */
struct items {
    struct config_exchange *exchanges;
    struct config_queue *queues;
    struct config_binding *bindings;
};

static void add_exchange(struct config_topology *topology, const struct items *items,
                         const char *name)
{
    if (!find_exchange(topology, name))
        items->exchanges[topology->exchange_count++] =
            (struct config_exchange){.name = name, .type = "fanout", .durable = true};
}

static void add_queue(struct config_topology *topology, const struct items *items, const char *name)
{
    if (!find_queue(topology, name))
        items->queues[topology->queue_count++] =
            (struct config_queue){.name = name, .type = "quorum", .durable = true};
}

/* An exchange as written may be of a type for which only its author knows the keys. */
static void add_binding(struct config_topology *topology, const struct items *items,
                        const struct config_subscription *subscription)
{
    const struct config_exchange *exchange = find_exchange(topology, subscription->dead_exchange);
    bool topic = strcmp(exchange->type, "topic") == 0;

    if (!topic && strcmp(exchange->type, "fanout") != 0)
        return;
    for (size_t i = 0; i < topology->binding_count; i++) {
        const struct config_binding *binding = &topology->bindings[i];

        if (!binding->to_exchange && strcmp(binding->source, subscription->dead_exchange) == 0 &&
            strcmp(binding->destination, subscription->dead_queue) == 0)
            return;
    }
    items->bindings[topology->binding_count++] =
        (struct config_binding){.source = subscription->dead_exchange,
                                .destination = subscription->dead_queue,
                                .routing_key = topic ? "#" : ""};
}

/*
 * What the broker itself gives up (expiry, delivery limit, overflow) shall come there, too. Where
 * nobody chose otherwise a quorum queue keeps such a message until the dead-letter queue has it,
 * which needs overflow=reject-publish; with a maximum length that would be another queue.
 */
static enum warren_status extend_queue(struct config_scope *scope, struct config_queue *queue,
                                       const char *dead_exchange)
{
    const struct warren_table *given = &queue->arguments;
    struct warren_field *fields;
    size_t count = given->count;

    if (queue->passive || strcmp(queue->type, "stream") == 0 ||
        argument(queue, "x-dead-letter-exchange"))
        return WARREN_OK;
    fields = arena_alloc(scope->arena, (count + 3) * sizeof *fields);
    if (!fields)
        return config_nomem(scope);
    if (count > 0)
        memcpy(fields, given->fields, count * sizeof *fields);
    fields[count++] = warren_field_text("x-dead-letter-exchange", dead_exchange);
    if (strcmp(queue->type, "quorum") == 0 && !argument(queue, "x-overflow") &&
        !argument(queue, "x-dead-letter-strategy") && !argument(queue, "x-max-length") &&
        !argument(queue, "x-max-length-bytes")) {
        fields[count++] = warren_field_text("x-dead-letter-strategy", "at-least-once");
        fields[count++] = warren_field_text("x-overflow", "reject-publish");
    }
    queue->arguments = (struct warren_table){fields, count};
    return WARREN_OK;
}

static bool copy_written(struct config_scope *scope, const struct config *config,
                         struct items *items)
{
    const struct config_topology *written = &config->topology;
    size_t more = config->subscription_count;

    items->exchanges =
        arena_alloc(scope->arena, (written->exchange_count + more) * sizeof *items->exchanges);
    items->queues =
        arena_alloc(scope->arena, (written->queue_count + more) * sizeof *items->queues);
    items->bindings =
        arena_alloc(scope->arena, (written->binding_count + more) * sizeof *items->bindings);
    if (!items->exchanges || !items->queues || !items->bindings)
        return false;
    for (size_t i = 0; i < written->exchange_count; i++)
        items->exchanges[i] = written->exchanges[i];
    for (size_t i = 0; i < written->queue_count; i++)
        items->queues[i] = written->queues[i];
    for (size_t i = 0; i < written->binding_count; i++)
        items->bindings[i] = written->bindings[i];
    return true;
}

static enum warren_status add_all(struct config_scope *scope, struct config_private *private,
                                  const struct items *items)
{
    struct config_topology *declared = &private->config.declared;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; i < private->config.subscription_count; i++) {
        const struct config_subscription *subscription = &private->config.subscriptions[i];

        add_exchange(declared, items, subscription->dead_exchange);
        add_queue(declared, items, subscription->dead_queue);
        add_binding(declared, items, subscription);
    }
    for (size_t i = 0; status == WARREN_OK && i < private->config.topology.queue_count; i++)
        for (size_t k = 0; k < private->config.subscription_count; k++)
            if (strcmp(private->subscriptions[k].queue, items->queues[i].name) == 0 &&
                status == WARREN_OK)
                status =
                    extend_queue(scope, &items->queues[i], private->subscriptions[k].dead_exchange);
    return status;
}

enum warren_status config_dead_letters(struct config_scope *scope, struct config_private *private)
{
    struct config *config = &private->config;
    enum warren_status status = WARREN_OK;
    struct items items;

    config->declared = config->topology;
    if (!config->dead_letter.enabled || config->subscription_count == 0)
        return WARREN_OK;
    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        status = name_both(scope, private, &private->subscriptions[i]);
    if (status == WARREN_OK)
        status = check_shared(scope, private);
    if (status != WARREN_OK)
        return status;
    if (!copy_written(scope, config, &items))
        return config_nomem(scope);
    config->declared.exchanges = items.exchanges;
    config->declared.queues = items.queues;
    config->declared.bindings = items.bindings;
    return add_all(scope, private, &items);
}
