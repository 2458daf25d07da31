#include "publish/delay/delay_declare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/properties.h"

/* ---- steps ---- */

/* Who needs what is declared: see struct delay_step. */
struct need {
    uint32_t levels;
    const struct delay *destination;
    bool check;
};

static void free_step(struct delay_step *step)
{
    free(step->destination);
    free(step);
}

void delay_steps_init(struct delay_steps *steps)
{
    list_init(&steps->waiting);
    steps->count = 0;
}

void delay_steps_clear(struct delay_steps *steps)
{
    struct list *link;

    while ((link = list_pop(&steps->waiting)))
        free_step(list_entry(link, struct delay_step, link));
    steps->count = 0;
}

struct delay *delay_copy(const struct delay *delay)
{
    size_t size = sizeof *delay + strlen(delay->destination) + 1;
    struct delay *copy = malloc(size);

    if (copy)
        memcpy(copy, delay, size);
    return copy;
}

static struct delay_step *new_step(struct need need)
{
    struct delay_step *step = calloc(1, sizeof *step);

    if (!step)
        return NULL;
    step->levels = need.levels;
    step->check = need.check;
    if (need.destination)
        step->destination = delay_copy(need.destination);
    if (need.destination && !step->destination) {
        free(step);
        return NULL;
    }
    return step;
}

static void on_reply(void *user, void *decoded)
{
    struct delay_steps *steps = user;
    struct list *link = list_pop(&steps->waiting);

    (void)decoded;
    steps->count--;
    free_step(list_entry(link, struct delay_step, link));
}

static enum warren_status call(const struct delay_declare *d, struct need need, uint32_t id,
                               void *method)
{
    struct delay_step *step = new_step(need);
    enum warren_status status;

    if (!step)
        return WARREN_ENOMEM;
    status = channel_call(d->channel, id, method, on_reply, d->steps);
    if (status != WARREN_OK) {
        free_step(step);
        return status;
    }
    list_push(&d->steps->waiting, &step->link);
    d->steps->count++;
    return WARREN_OK;
}

/* ---- methods ---- */

static amqp_bytes_t text_bytes(const char *text)
{
    return (amqp_bytes_t){strlen(text), (void *)(uintptr_t)text};
}

static enum warren_status headers_exchange(const struct delay_declare *d, struct need need,
                                           const char *name)
{
    amqp_exchange_declare_t method = {
        .exchange = text_bytes(name),
        .type = text_bytes("headers"),
        .durable = 1,
    };

    return call(d, need, AMQP_EXCHANGE_DECLARE_METHOD, &method);
}

/* Where messages go that have been in a queue for @ttl_ms. */
struct expiry {
    int64_t ttl_ms;
    const char *exchange;
    const char *routing_key; /* NULL: their own */
};

/* At least once needs a queue that refuses when it is full, though it has no limit. */
static enum warren_status expiring_queue(const struct delay_declare *d, struct need need,
                                         const char *name, const struct expiry *expiry)
{
    const char *routing_key = expiry->routing_key;
    struct warren_field fields[] = {
        warren_field_text("x-queue-type", "quorum"),
        warren_field_i64("x-message-ttl", expiry->ttl_ms),
        warren_field_text("x-overflow", "reject-publish"),
        warren_field_text("x-dead-letter-strategy", "at-least-once"),
        warren_field_text("x-dead-letter-exchange", expiry->exchange),
        warren_field_text("x-dead-letter-routing-key", routing_key ? routing_key : ""),
    };
    size_t count = sizeof fields / sizeof *fields;
    struct warren_table arguments = {fields, routing_key ? count : count - 1};
    amqp_queue_declare_t method = {.queue = text_bytes(name), .durable = 1};
    enum warren_status status =
        table_to_amqp(&arguments, NULL, d->scratch, &method.arguments, NULL);

    return status == WARREN_OK ? call(d, need, AMQP_QUEUE_DECLARE_METHOD, &method) : status;
}

static enum warren_status bind_queue(const struct delay_declare *d, struct need need,
                                     const char *queue, const char *exchange,
                                     const struct warren_field *header)
{
    struct warren_table arguments = {header, 1};
    amqp_queue_bind_t method = {.queue = text_bytes(queue), .exchange = text_bytes(exchange)};
    enum warren_status status =
        table_to_amqp(&arguments, NULL, d->scratch, &method.arguments, NULL);

    return status == WARREN_OK ? call(d, need, AMQP_QUEUE_BIND_METHOD, &method) : status;
}

static enum warren_status bind_exchange(const struct delay_declare *d, struct need need,
                                        const char *destination, const char *source,
                                        const struct warren_field *header)
{
    struct warren_table arguments = {header, 1};
    amqp_exchange_bind_t method = {.destination = text_bytes(destination),
                                   .source = text_bytes(source)};
    enum warren_status status =
        table_to_amqp(&arguments, NULL, d->scratch, &method.arguments, NULL);

    return status == WARREN_OK ? call(d, need, AMQP_EXCHANGE_BIND_METHOD, &method) : status;
}

/* ---- levels ---- */

static void name_below(unsigned level, char name[DELAY_NAME_SIZE])
{
    if (level > 0)
        delay_level_name(level - 1, name);
    else
        snprintf(name, DELAY_NAME_SIZE, "%s", DELAY_DELIVER);
}

enum warren_status delay_declare_deliver(const struct delay_declare *d)
{
    return headers_exchange(d, (struct need){.levels = UINT32_MAX}, DELAY_DELIVER);
}

/* Delays of that level and of all higher ones pass it. */
enum warren_status delay_declare_exchange(const struct delay_declare *d, unsigned level)
{
    struct warren_field clear = warren_field_bool(delay_level_header(level), false);
    struct need need = {.levels = UINT32_MAX << level};
    char name[DELAY_NAME_SIZE];
    char below[DELAY_NAME_SIZE];
    enum warren_status status;

    delay_level_name(level, name);
    name_below(level, below);
    status = headers_exchange(d, need, name);
    return status == WARREN_OK ? bind_exchange(d, need, below, name, &clear) : status;
}

enum warren_status delay_declare_queue(const struct delay_declare *d, unsigned level)
{
    struct warren_field set = warren_field_bool(delay_level_header(level), true);
    struct need need = {.levels = UINT32_C(1) << level};
    char name[DELAY_NAME_SIZE];
    char below[DELAY_NAME_SIZE];
    struct expiry expiry = {.ttl_ms = (INT64_C(1) << level) * 1000, .exchange = below};
    enum warren_status status;

    delay_level_name(level, name);
    name_below(level, below);
    status = expiring_queue(d, need, name, &expiry);
    return status == WARREN_OK ? bind_queue(d, need, name, name, &set) : status;
}

/* ---- destinations ---- */

enum warren_status delay_declare_check(const struct delay_declare *d, const struct delay *delay)
{
    struct need need = {.destination = delay, .check = true};
    amqp_bytes_t name = text_bytes(delay->destination);
    amqp_queue_declare_t queue = {.queue = name, .passive = 1};
    amqp_exchange_declare_t exchange = {
        .exchange = name, .type = text_bytes("direct"), .passive = 1};

    return delay->to_queue ? call(d, need, AMQP_QUEUE_DECLARE_METHOD, &queue)
                           : call(d, need, AMQP_EXCHANGE_DECLARE_METHOD, &exchange);
}

enum warren_status delay_declare_departure(const struct delay_declare *d, const struct delay *delay)
{
    struct need need = {.destination = delay};
    struct expiry expiry = {
        .ttl_ms = 0,
        .exchange = delay->to_queue ? "" : delay->destination,
        .routing_key = delay->to_queue ? delay->destination : NULL,
    };
    char name[DELAY_NAME_SIZE];
    struct warren_field to;
    enum warren_status status;

    delay_departure_name(delay, name);
    to = warren_field_text(DELAY_TO_HEADER, name);
    status = expiring_queue(d, need, name, &expiry);
    return status == WARREN_OK ? bind_queue(d, need, name, DELAY_DELIVER, &to) : status;
}
