#include "config/options.h"

#include <string.h>

#include "config/secret.h"

#define QUEUE_WORD "{queue}"

/*
 * The one value that means "none" to every RabbitMQ: with -1, which says so from 4.0 on, 3.10 gives
 * a message up at its second delivery. So it stays right when the broker is upgraded, which an
 * argument of a queue that exists could not follow.
 */
#define NO_DELIVERY_LIMIT INT64_C(1000000000)

/* ---- names ---- */

/* Those of a slow lane are its fast lane's, and those of all shards are together. */
static const char *queue_of(const struct config_subscription *subscription)
{
    if (subscription->shards)
        return subscription->shards->exchange;
    return subscription->slow_lane_of ? subscription->slow_lane_of : subscription->queue;
}

/* The option's text with each {queue} replaced. What is wrong with the default is so because of the
 * queue. */
static enum warren_status name_it(struct config_scope *scope, const struct config_value *option,
                                  const char *what, const struct config_subscription *subscription,
                                  const char **ret_name)
{
    const struct config_node *node = option->given ? option->node : subscription->written.node;
    const char *pattern = option->text;
    size_t word = strlen(QUEUE_WORD);
    const char *queue = queue_of(subscription);
    size_t len = strlen(queue);
    char *name =
        arena_alloc(scope->arena, (strlen(pattern) / word + 1) * len + strlen(pattern) + 1);
    char *at = name;

    if (!name)
        return config_nomem(scope);
    while (*pattern) {
        size_t end = strcspn(pattern, "}");

        if (*pattern != '{') {
            *at++ = *pattern++;
            continue;
        }
        if (strncmp(pattern, QUEUE_WORD, word) != 0)
            return config_fail(scope, node,
                               "'%.*s' stands for nothing; did you mean '" QUEUE_WORD "'?",
                               (int)(pattern[end] ? end + 1 : end), pattern);
        memcpy(at, queue, len);
        at += len;
        pattern += word;
    }
    *at = '\0';
    *ret_name = name;
    return config_check_name(scope, node, what, name);
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

/* Those of a slow lane come to its fast one's: they are of the same messages. Whether they come
 * back to it is seen when all are named. */
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
    if (status != WARREN_OK || subscription->slow_lane_of || subscription->shards ||
        strcmp(subscription->dead_queue, subscription->queue) != 0)
        return status;
    return config_fail(scope, of_queue->node,
                       "the dead-letter queue of '%s' is that queue itself; the default is "
                       "'" QUEUE_WORD ".dlq'",
                       config_mask(subscription->queue, word, sizeof word));
}

/* ---- what is declared ---- */

const struct config_queue *config_find_queue(const struct config_topology *topology,
                                             const char *name)
{
    for (size_t i = 0; i < topology->queue_count; i++)
        if (strcmp(topology->queues[i].name, name) == 0)
            return &topology->queues[i];
    return NULL;
}

const struct config_exchange *config_find_exchange(const struct config_topology *topology,
                                                   const char *name)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (strcmp(topology->exchanges[i].name, name) == 0)
            return &topology->exchanges[i];
    return NULL;
}

/* An exchange as written may be of a type for which only its author knows the keys. */
static void add_binding(struct config_private *private,
                        const struct config_subscription *subscription)
{
    struct config_topology *topology = &private->config.topology;
    const struct config_exchange *exchange =
        config_find_exchange(topology, subscription->dead_exchange);
    bool topic = strcmp(exchange->type, "topic") == 0;

    if (!topic && strcmp(exchange->type, "fanout") != 0)
        return;
    for (size_t i = 0; i < topology->binding_count; i++) {
        const struct config_binding *binding = &topology->bindings[i];

        if (!binding->to_exchange && strcmp(binding->source, subscription->dead_exchange) == 0 &&
            strcmp(binding->destination, subscription->dead_queue) == 0)
            return;
    }
    private->bindings[topology->binding_count++] =
        (struct config_binding){.source = subscription->dead_exchange,
                                .destination = subscription->dead_queue,
                                .routing_key = topic ? "#" : ""};
}

/* There is room for it, see config_topology_read(). */
static void add_items(struct config_private *private,
                      const struct config_subscription *subscription)
{
    struct config_topology *topology = &private->config.topology;

    if (!config_find_exchange(topology, subscription->dead_exchange))
    private->exchanges[topology->exchange_count++] = (struct config_exchange){
        .name = subscription->dead_exchange, .type = "fanout", .durable = true};
    if (!config_find_queue(topology, subscription->dead_queue))
    private->queues[topology->queue_count++] =
        (struct config_queue){.name = subscription->dead_queue, .type = "quorum", .durable = true};
    add_binding(private, subscription);
}

static const struct warren_value *argument(const struct config_queue *queue, const char *name)
{
    return warren_table_get(&queue->arguments, name);
}

static enum warren_status add_argument(struct config_scope *scope, struct config_queue *queue,
                                       struct warren_field field)
{
    const struct warren_table *given = &queue->arguments;
    struct warren_field *fields = arena_alloc(scope->arena, (given->count + 1) * sizeof *fields);

    if (!fields)
        return config_nomem(scope);
    if (given->count > 0)
        memcpy(fields, given->fields, given->count * sizeof *fields);
    fields[given->count] = field;
    queue->arguments = (struct warren_table){fields, given->count + 1};
    return WARREN_OK;
}

/*
 * What the broker itself gives up (expiry, delivery limit, overflow) shall come there, too. Where
 * nobody chose otherwise a quorum queue keeps such a message until the dead-letter queue has it,
 * which needs overflow=reject-publish; with a maximum length that would be another queue.
 */
static enum warren_status add_dead_exchange(struct config_scope *scope, struct config_queue *queue,
                                            const char *dead_exchange)
{
    bool at_least_once = strcmp(queue->type, "quorum") == 0 && !argument(queue, "x-overflow") &&
                         !argument(queue, "x-dead-letter-strategy") &&
                         !argument(queue, "x-max-length") && !argument(queue, "x-max-length-bytes");
    enum warren_status status;

    if (queue->passive || strcmp(queue->type, "stream") == 0 ||
        argument(queue, "x-dead-letter-exchange"))
        return WARREN_OK;
    status = add_argument(scope, queue, warren_field_text("x-dead-letter-exchange", dead_exchange));
    if (status == WARREN_OK && at_least_once)
        status = add_argument(scope, queue,
                              warren_field_text("x-dead-letter-strategy", "at-least-once"));
    if (status == WARREN_OK && at_least_once)
        status = add_argument(scope, queue, warren_field_text("x-overflow", "reject-publish"));
    return status;
}

static enum warren_status add_limit(struct config_scope *scope, struct config_queue *queue)
{
    if (queue->passive || strcmp(queue->type, "quorum") != 0 ||
        argument(queue, CONFIG_DELIVERY_LIMIT))
        return WARREN_OK;
    queue->limit_added = true;
    return add_argument(scope, queue, warren_field_i64(CONFIG_DELIVERY_LIMIT, NO_DELIVERY_LIMIT));
}

static enum warren_status add_arguments(struct config_scope *scope, struct config_private *private,
                                        struct config_queue *queue)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; i < private->config.subscription_count && status == WARREN_OK; i++) {
        const struct config_subscription *subscription = &private->subscriptions[i];

        if ((queue->written.node || queue->added) && subscription->dead_exchange &&
            strcmp(subscription->queue, queue->name) == 0)
            status = add_dead_exchange(scope, queue, subscription->dead_exchange);
    }
    return status == WARREN_OK ? add_limit(scope, queue) : status;
}

enum warren_status config_declared(struct config_scope *scope, struct config_private *private)
{
    struct config *config = &private->config;
    size_t count = config->dead_letter.enabled ? config->subscription_count : 0;
    enum warren_status status = config_lanes_declared(scope, private);

    if (status == WARREN_OK)
        status = config_shards_declared(scope, private);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = name_both(scope, private, &private->subscriptions[i]);
    if (status == WARREN_OK && count > 0)
        status = config_lanes_check_dead(scope, private);
    if (status == WARREN_OK && count > 0)
        status = config_shards_check_dead(scope, private);
    if (status == WARREN_OK && count > 0)
        status = check_shared(scope, private);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        add_items(private, &private->subscriptions[i]);
    for (size_t i = 0; status == WARREN_OK && i < config->topology.queue_count; i++)
        status = add_arguments(scope, private, &private->queues[i]);
    return status;
}
