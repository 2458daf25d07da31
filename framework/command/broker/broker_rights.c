/* broker_rights.c - see broker_rights.h. Source: https://www.rabbitmq.com/docs/access-control */
#include "command/broker/broker_rights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "middleware/builtin.h"
#include "publish/delay/delay.h"

#define WHY_MAX 320

/* The lowest level of the delay queues stands for all of them. */
#define DELAY_LEVEL 0

static bool is_same(const struct right *a, const struct right *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
           strcmp(a->source ? a->source : "", b->source ? b->source : "") == 0;
}

__attribute__((format(printf, 3, 4))) static void add(struct broker_rights *rights,
                                                      struct right right, const char *why, ...)
{
    char text[WHY_MAX];
    va_list arguments;

    for (size_t i = 0; i < rights->count; i++)
        if (is_same(&rights->items[i].right, &right))
            return;
    va_start(arguments, why);
    vsnprintf(text, sizeof text, why, arguments);
    va_end(arguments);
    why = arena_copy(&rights->arena, text, strlen(text));
    rights->items[rights->count++] = (struct broker_right){right, why ? why : ""};
}

static const char *text_argument(const struct warren_table *arguments, const char *name)
{
    const struct warren_value *value = warren_table_get(arguments, name);

    return value && value->type == WARREN_STRING ? value->as.bytes.data : NULL;
}

/* Delays that are too long for the prefetch window go through queues that the worker declares. */
static bool uses_delay_queues(const struct config_middleware *retry)
{
    return warren_options_int(retry->options, "max_delay") >
           warren_options_int(retry->options, "in_memory_max");
}

static void add_delays(struct broker_rights *rights, const char *queue)
{
    static const char why[] = "for attempts of '%s' later than retry's in_memory_max";
    char *name = arena_alloc(&rights->arena, DELAY_NAME_SIZE);

    if (!name)
        return;
    delay_level_name(DELAY_LEVEL, name);
    add(rights, (struct right){RIGHT_DECLARE_EXCHANGE, name, NULL}, why, queue);
    add(rights, (struct right){RIGHT_DECLARE_QUEUE, name, NULL}, why, queue);
    add(rights, (struct right){RIGHT_BIND_QUEUE, name, name}, why, queue);
    add(rights, (struct right){RIGHT_PUBLISH, name, NULL}, why, queue);
}

/* What stands for the worker, where it shares shards out with others. */
static void add_seat(struct broker_rights *rights, const struct config_subscription *subscription)
{
    char name[256];
    int len = snprintf(name, sizeof name, "%s." CONFIG_SEAT ".%u", subscription->shards->exchange,
                       subscription->shard);
    const char *kept = arena_text(&rights->arena, name, (size_t)len);

    if (kept)
        add(rights, (struct right){RIGHT_CONSUME, kept, NULL}, "by which workers see each other");
}

static void add_subscription(struct broker_rights *rights,
                             const struct config_subscription *subscription)
{
    const struct config_middleware *retry = config_find_link(subscription, middleware_retry.name);
    const char *queue = subscription->queue;

    add(rights, (struct right){RIGHT_CONSUME, queue, NULL}, "which %s does", subscription->handler);
    if (subscription->shards)
        add_seat(rights, subscription);
    if (subscription->dead_exchange)
        add(rights, (struct right){RIGHT_PUBLISH, subscription->dead_exchange, NULL},
            "for dead letters of '%s'", queue);
    if (!retry || !retry->options)
        return;
    add(rights, (struct right){RIGHT_PUBLISH, "", NULL}, "for later attempts of '%s'", queue);
    if (uses_delay_queues(retry))
        add_delays(rights, queue);
}

/* Where an argument names an exchange, the broker wants more than the right to configure. */
static void add_declared(struct broker_rights *rights, const struct config_topology *topology)
{
    for (size_t i = 0; i < topology->queue_count; i++) {
        const struct config_queue *queue = &topology->queues[i];
        const char *dead = text_argument(&queue->arguments, "x-dead-letter-exchange");

        if (queue->passive || !dead)
            continue;
        add(rights, (struct right){RIGHT_CONSUME, queue->name, NULL},
            "which declaring it with x-dead-letter-exchange needs");
        add(rights, (struct right){RIGHT_PUBLISH, dead, NULL},
            "which declaring '%s' with x-dead-letter-exchange needs", queue->name);
    }
    for (size_t i = 0; i < topology->exchange_count; i++) {
        const struct config_exchange *exchange = &topology->exchanges[i];
        const char *other = text_argument(&exchange->arguments, "alternate-exchange");

        if (!exchange->passive && other)
            add(rights, (struct right){RIGHT_PUBLISH, other, NULL},
                "which declaring '%s' with alternate-exchange needs", exchange->name);
    }
}

static void add_bindings(struct broker_rights *rights, const struct config_topology *topology)
{
    for (size_t i = 0; i < topology->binding_count; i++) {
        const struct config_binding *binding = &topology->bindings[i];

        add(rights,
            (struct right){binding->to_exchange ? RIGHT_BIND_EXCHANGE : RIGHT_BIND_QUEUE,
                           binding->destination, binding->source},
            "which the topology says");
    }
}

enum warren_status broker_rights_init(struct broker_rights *rights, const struct config *config)
{
    const struct config_topology *topology = &config->topology;
    size_t most = config->subscription_count * 8 + topology->queue_count * 2 +
                  topology->exchange_count + topology->binding_count;

    *rights = (struct broker_rights){0};
    arena_init(&rights->arena);
    rights->items = arena_alloc(&rights->arena, (most + 1) * sizeof *rights->items);
    if (!rights->items)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < config->subscription_count; i++)
        add_subscription(rights, &config->subscriptions[i]);
    add_declared(rights, topology);
    add_bindings(rights, topology);
    return WARREN_OK;
}

void broker_rights_done(struct broker_rights *rights)
{
    arena_done(&rights->arena);
    *rights = (struct broker_rights){0};
}

void broker_right_text(const struct right *right, char *text, size_t size)
{
    const char *name = *right->name ? right->name : "amq.default";

    switch (right->kind) {
    case RIGHT_CONSUME:
        snprintf(text, size, "read from queue '%s'", name);
        break;
    case RIGHT_PUBLISH:
        snprintf(text, size, "write to exchange '%s'", name);
        break;
    case RIGHT_BIND_QUEUE:
    case RIGHT_BIND_EXCHANGE:
        snprintf(text, size, "bind %s '%s' to exchange '%s'",
                 right->kind == RIGHT_BIND_QUEUE ? "queue" : "exchange", name, right->source);
        break;
    default:
        snprintf(text, size, "configure %s '%s'",
                 right->kind == RIGHT_DECLARE_QUEUE ? "queue" : "exchange", name);
    }
}
