/* shards.c - `shards:` of a subscription: queues behind an exchange that routes by a hash of the
 * key. Each queue becomes a subscription of its own, behind those of the file, and is declared.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "config/mapping.h"
#include "config/options.h"
#include "config/secret.h"

#define SINGLE_ACTIVE "x-single-active-consumer"
/* Of a queue, as RabbitMQ has it. */
#define NAME_MAX_BYTES 255
#define LONGEST_END    "." CONFIG_SEAT ".127"
/* Virtual nodes of each queue on the ring, which a binding's key says. */
#define WEIGHT "10"

static const struct config_node *node_of(const struct config_subscription *subscription,
                                         const char *name)
{
    const struct config_node *whole = subscription->shards->written.node;
    const struct config_node *node = config_node_get(whole, name);

    return node ? node : whole;
}

/* ---- what is written ---- */

static enum warren_status check_queue(struct config_scope *scope,
                                      const struct config_subscription *subscription)
{
    const struct config_node *node = subscription->written.node;
    const struct config_node *queue = config_node_get(node, "queue");

    if (*subscription->queue)
        return WARREN_OK;
    if (queue)
        return config_check_name(scope, queue, "the queue of a subscription", "");
    return config_fail(scope, node, "'queue' is missing in a subscription");
}

static enum warren_status check_exchange(struct config_scope *scope,
                                         const struct config_subscription *subscription)
{
    const struct config_node *node = node_of(subscription, "exchange");
    const char *exchange = subscription->shards->exchange;
    size_t most = NAME_MAX_BYTES - strlen(LONGEST_END);
    enum warren_status status = config_check_name(scope, node, "the exchange of shards", exchange);

    if (status != WARREN_OK)
        return status;
    if (strlen(exchange) > most)
        return config_fail(scope, node,
                           "the exchange of shards has %zu bytes, expected %zu at most: names of "
                           "queues begin with it",
                           strlen(exchange), most);
    if (strpbrk(exchange, "\r\n"))
        return config_fail(
            scope, node, "the exchange of shards must have no line ends: RabbitMQ takes them out");
    return WARREN_OK;
}

static enum warren_status read_key(struct config_scope *scope,
                                   const struct config_subscription *subscription,
                                   struct config_shards *shards)
{
    bool modulus = strcmp(shards->hash, "modulus") == 0;
    char word[CONFIG_WORD_SIZE];
    enum warren_status status =
        config_key_read(scope, node_of(subscription, "by"), shards->by,
                        "header:NAME, routing_key or message_id", &shards->key);

    if (status != WARREN_OK || !modulus || shards->key.source == ORDER_BY_ROUTING_KEY)
        return status;
    return config_fail(scope, node_of(subscription, "by"),
                       "by is '%s', and hash is modulus, which knows routing_key alone",
                       config_mask(shards->by, word, sizeof word));
}

/* Above it the subscription would be cancelled, and another worker that waits for the shard go on
 * behind what is still here. */
static enum warren_status check_bytes(struct config_scope *scope,
                                      struct config_subscription *subscription)
{
    const struct config_node *node = config_node_get(subscription->written.node, "prefetch_bytes");

    if (!subscription->order)
        return WARREN_OK;
    if (node && subscription->prefetch_bytes > 0)
        return config_fail(scope, node,
                           "prefetch_bytes must be 0 where shards have an order: above it another "
                           "worker could go on with the messages behind (consumer.memory_max "
                           "bounds all)");
    subscription->prefetch_bytes = 0;
    return WARREN_OK;
}

static enum warren_status check_others(struct config_scope *scope,
                                       const struct config_subscription *subscription)
{
    const struct config_node *node = subscription->shards->written.node;
    const struct config_node *arguments = config_node_get(subscription->written.node, "arguments");

    if (config_node_get(subscription->written.node, "queue"))
        return config_fail(scope, config_node_get(subscription->written.node, "queue"),
                           "shards and queue do not go together: the queues are the exchange's "
                           "name with .0 to .%" PRId64,
                           subscription->shards->count - 1);
    if (subscription->lanes)
        return config_fail(scope, node,
                           "shards and lanes do not go together: what moves to the slow lane "
                           "leaves its shard");
    if (warren_table_get(&subscription->arguments, "x-stream-offset"))
        return config_fail(scope, config_node_get(arguments, "x-stream-offset"),
                           "x-stream-offset is of streams, and a shard is none");
    return WARREN_OK;
}

enum warren_status config_shards_read(struct config_scope *scope,
                                      struct config_subscription *subscription)
{
    static const struct config_part part = {
        .table = &config_shards_table,
        .name = "shards",
        .what = "the shards of a subscription",
        .example = "{exchange: orders, count: 16, by: header:customer}",
    };
    enum warren_status status;
    struct config_shards *shards = config_part_read(
        scope, config_node_get(subscription->written.node, "shards"), &part, &status);

    if (status != WARREN_OK)
        return status;
    if (!shards)
        return check_queue(scope, subscription);
    subscription->shards = shards;
    status = check_exchange(scope, subscription);
    if (status == WARREN_OK)
        status = read_key(scope, subscription, shards);
    if (status == WARREN_OK)
        status = check_others(scope, subscription);
    return status == WARREN_OK ? check_bytes(scope, subscription) : status;
}

/* ---- what becomes of it ---- */

static enum warren_status count_all(struct config_scope *scope, const struct config *config,
                                    size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];

        if (!subscription->shards)
            continue;
        *ret_count += (size_t)subscription->shards->count;
        if (*ret_count > CONFIG_SHARDS_ALL_MAX)
            return config_fail(scope, node_of(subscription, "count"),
                               "there are more than %d shards in the file", CONFIG_SHARDS_ALL_MAX);
    }
    return WARREN_OK;
}

/* Another subscription of that queue would be given no message, or its own to nobody else. */
static enum warren_status check_free(struct config_scope *scope, const struct config *config,
                                     const struct config_subscription *shard)
{
    char word[CONFIG_WORD_SIZE];

    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *other = &config->subscriptions[i];

        if (other != shard && strcmp(other->queue, shard->queue) == 0)
            return config_fail(scope, node_of(shard, "exchange"),
                               "the shard '%s' has another subscription, or is a shard of one, "
                               "expected an exchange whose queues nobody else consumes here",
                               config_mask(shard->queue, word, sizeof word));
    }
    return WARREN_OK;
}

static enum warren_status add_shards_of(struct config_scope *scope, struct config_private *private,
                                        size_t index)
{
    struct config_subscription *first = &private->subscriptions[index];

    for (uint32_t shard = 0; shard < first->shards->count; shard++) {
        struct config_subscription *s =
            shard == 0 ? first : &private->subscriptions[private->config.subscription_count++];

        if (shard > 0)
            *s = *first;
        s->shard = shard;
        s->queue = config_print(scope, "%s.%" PRIu32, first->shards->exchange, shard);
        if (!s->queue)
            return config_nomem(scope);
    }
    return WARREN_OK;
}

enum warren_status config_shards_add(struct config_scope *scope, struct config_private *private,
                                     size_t room)
{
    struct config *config = &private->config;
    size_t count = config->subscription_count;
    size_t shards;
    struct config_subscription *items;
    enum warren_status status = count_all(scope, config, &shards);

    if (status != WARREN_OK || shards == 0)
        return status;
    items = arena_alloc(scope->arena, (count + shards + room) * sizeof *items);
    if (!items)
        return config_nomem(scope);
    memcpy(items, private->subscriptions, count * sizeof *items);
    config->subscriptions = private->subscriptions = items;
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        if (items[i].shards)
            status = add_shards_of(scope, private, i);
    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        if (items[i].shards)
            status = check_free(scope, config, &items[i]);
    return status;
}

/* ---- what is declared ---- */

static enum warren_status set_argument(struct config_scope *scope, struct warren_table *table,
                                       struct warren_field field)
{
    struct warren_field *copy = arena_alloc(scope->arena, sizeof *copy);

    if (!copy)
        return config_nomem(scope);
    *copy = field;
    *table = (struct warren_table){copy, 1};
    return WARREN_OK;
}

static enum warren_status add_exchange(struct config_scope *scope, struct config_private *private,
                                       const struct config_subscription *subscription)
{
    struct config_topology *topology = &private->config.topology;
    const struct config_shards *shards = subscription->shards;
    const struct config_exchange *written = config_find_exchange(topology, shards->exchange);
    struct config_exchange *exchange = &private->exchanges[topology->exchange_count];
    char word[CONFIG_WORD_SIZE];

    if (written && !written->passive)
        return config_fail(scope, node_of(subscription, "exchange"),
                           "the exchange '%s' is declared by shards: take it out of topology, or "
                           "write `passive: true` there",
                           config_mask(shards->exchange, word, sizeof word));
    if (written)
        return WARREN_OK;
    *exchange = (struct config_exchange){
        .name = shards->exchange,
        .type = strcmp(shards->hash, "modulus") == 0 ? "x-modulus-hash" : "x-consistent-hash",
        .durable = true};
    topology->exchange_count++;
    if (shards->key.source == ORDER_BY_HEADER)
        return set_argument(scope, &exchange->arguments,
                            warren_field_text("hash-header", shards->key.header));
    if (shards->key.source == ORDER_BY_MESSAGE_ID)
        return set_argument(scope, &exchange->arguments,
                            warren_field_text("hash-property", "message_id"));
    return WARREN_OK;
}

static enum warren_status check_written(struct config_scope *scope,
                                        const struct config_queue *queue)
{
    const struct warren_value *single = warren_table_get(&queue->arguments, SINGLE_ACTIVE);
    char word[CONFIG_WORD_SIZE];

    if (queue->passive || (single && single->type == WARREN_BOOL && single->as.boolean))
        return WARREN_OK;
    return config_fail(scope, queue->written.node,
                       "'%s' is a shard, and needs `arguments: {" SINGLE_ACTIVE
                       ": true}`, or leave it out: then it is declared with that",
                       config_mask(queue->name, word, sizeof word));
}

static enum warren_status add_queue(struct config_scope *scope, struct config_private *private,
                                    const struct config_subscription *subscription)
{
    struct config_topology *topology = &private->config.topology;
    const struct config_queue *written = config_find_queue(topology, subscription->queue);
    struct config_queue *queue = &private->queues[topology->queue_count];

    if (written)
        return check_written(scope, written);
    *queue = (struct config_queue){
        .name = subscription->queue, .type = "quorum", .durable = true, .added = true};
    topology->queue_count++;
    return set_argument(scope, &queue->arguments, warren_field_bool(SINGLE_ACTIVE, true));
}

/* NULL: no memory. */
static const char *seat_name(struct config_scope *scope,
                             const struct config_subscription *subscription)
{
    return config_print(scope, "%s." CONFIG_SEAT ".%" PRIu32, subscription->shards->exchange,
                        subscription->shard);
}

static bool is_consumed(const struct config *config, const char *queue)
{
    for (size_t i = 0; i < config->subscription_count; i++)
        if (strcmp(config->subscriptions[i].queue, queue) == 0)
            return true;
    return false;
}

static enum warren_status add_seat(struct config_scope *scope, struct config_private *private,
                                   const struct config_subscription *subscription)
{
    struct config_topology *topology = &private->config.topology;
    const struct config_queue *written;
    char word[CONFIG_WORD_SIZE];
    const char *name = seat_name(scope, subscription);

    if (!name)
        return config_nomem(scope);
    if (is_consumed(&private->config, name))
        return config_fail(scope, node_of(subscription, "exchange"),
                           "the queue '%s' of these shards is another subscription's, too: "
                           "expected another exchange",
                           config_mask(name, word, sizeof word));
    written = config_find_queue(topology, name);
    if (written)
        return config_fail(scope, written->written.node,
                           "'%s' stands for a worker that has shards, and is declared with them: "
                           "take it out of topology",
                           name);
    private->queues[topology->queue_count++] =
        (struct config_queue){.name = name, .type = "classic", .durable = true};
    return WARREN_OK;
}

static void add_binding(struct config_private *private,
                        const struct config_subscription *subscription)
{
    const struct config_shards *shards = subscription->shards;

    private->bindings[private->config.topology.binding_count++] =
        (struct config_binding){.source = shards->exchange,
                                .destination = subscription->queue,
                                .routing_key = strcmp(shards->hash, "modulus") == 0 ? "" : WEIGHT};
}

enum warren_status config_shards_declared(struct config_scope *scope,
                                          struct config_private *private)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < private->config.subscription_count; i++) {
        const struct config_subscription *subscription = &private->subscriptions[i];

        if (!subscription->shards)
            continue;
        if (subscription->shard == 0)
            status = add_exchange(scope, private, subscription);
        if (status == WARREN_OK)
            status = add_queue(scope, private, subscription);
        if (status == WARREN_OK)
            status = add_seat(scope, private, subscription);
        if (status == WARREN_OK)
            add_binding(private, subscription);
    }
    return status;
}

static enum warren_status check_dead(struct config_scope *scope, const struct config *config,
                                     const struct config_subscription *shard)
{
    const struct config_shards *shards = shard->shards;
    const char *seat = seat_name(scope, shard);
    char word[CONFIG_WORD_SIZE];
    char queue[CONFIG_WORD_SIZE];

    if (!seat)
        return config_nomem(scope);

    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *other = &config->subscriptions[i];
        bool by_exchange = strcmp(other->dead_exchange, shards->exchange) == 0;

        if (strcmp(other->dead_queue, seat) == 0)
            return config_fail(scope, node_of(shard, "exchange"),
                               "dead letters of '%s' go to '%s', which stands for a worker and "
                               "drops them: expected another queue of dead letters",
                               config_mask(other->queue, queue, sizeof queue), seat);
        if (by_exchange || strcmp(other->dead_queue, shard->queue) == 0)
            return config_fail(
                scope, node_of(shard, "exchange"),
                "dead letters of '%s' go to '%s', and so to shards, which would "
                "handle them again: expected another exchange, or other dead "
                "letters",
                config_mask(other->queue, queue, sizeof queue),
                config_mask(by_exchange ? shards->exchange : shard->queue, word, sizeof word));
    }
    return WARREN_OK;
}

enum warren_status config_shards_check_dead(struct config_scope *scope,
                                            const struct config_private *private)
{
    const struct config *config = &private->config;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        if (config->subscriptions[i].shards)
            status = check_dead(scope, config, &config->subscriptions[i]);
    return status;
}

/* ---- a reload ---- */

bool config_is_written(const struct config_subscription *subscription)
{
    return !subscription->slow_lane_of && subscription->shard == 0;
}

static size_t count_shards(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->subscription_count; i++)
        count += config->subscriptions[i].shards != NULL;
    return count;
}

enum warren_status config_shards_stay(const struct config *before, const struct config *now,
                                      struct warren_error *error)
{
    for (size_t i = 0; i < before->subscription_count; i++) {
        const struct config_subscription *was = &before->subscriptions[i];
        const struct config_subscription *is = config_same_subscription(before, i, now);

        if (!was->shards || (is && is->shards && !config_subscription_differs(was, is, "shards")))
            continue;
        return error_set(error, WARREN_ECONFIG,
                         "%s: the shards of %s are other ones, which takes a restart",
                         is ? is->where : was->where, was->shards->exchange);
    }
    if (count_shards(before) == count_shards(now))
        return WARREN_OK;
    return error_set(error, WARREN_ECONFIG, "%s: there are more shards, which takes a restart",
                     now->file);
}
