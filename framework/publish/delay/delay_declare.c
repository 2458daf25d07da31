#include "publish/delay/delay_topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum warren_status declare(const struct delay_declare *d, struct need need,
                                  struct declare_item item)
{
    struct declare_to to = {d->channel, d->scratch, on_reply, d->steps};
    struct delay_step *step = new_step(need);
    enum warren_status status = step ? declare_send(&to, &item, NULL) : WARREN_ENOMEM;

    if (status == WARREN_OK) {
        list_push(&d->steps->waiting, &step->link);
        d->steps->count++;
    } else if (step) {
        free_step(step);
    }
    return status;
}

/* ---- items ---- */

static enum warren_status headers_exchange(const struct delay_declare *d, struct need need,
                                           const char *name)
{
    struct config_exchange exchange = {.name = name, .type = "headers", .durable = true};

    return declare(d, need, (struct declare_item){.exchange = &exchange});
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
        warren_field_i64("x-message-ttl", expiry->ttl_ms),
        warren_field_text("x-overflow", "reject-publish"),
        warren_field_text("x-dead-letter-strategy", "at-least-once"),
        warren_field_text("x-dead-letter-exchange", expiry->exchange),
        warren_field_text("x-dead-letter-routing-key", routing_key ? routing_key : ""),
    };
    size_t count = sizeof fields / sizeof *fields;
    struct config_queue queue = {.name = name,
                                 .type = "quorum",
                                 .durable = true,
                                 .arguments = {fields, routing_key ? count : count - 1}};

    return declare(d, need, (struct declare_item){.queue = &queue});
}

static enum warren_status bind_to(const struct delay_declare *d, struct need need,
                                  struct config_binding binding, const struct warren_field *header)
{
    binding.routing_key = "";
    binding.arguments = (struct warren_table){header, 1};
    return declare(d, need, (struct declare_item){.binding = &binding});
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
    return status == WARREN_OK
               ? bind_to(d, need,
                         (struct config_binding){
                             .source = name, .destination = below, .to_exchange = true},
                         &clear)
               : status;
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
    return status == WARREN_OK
               ? bind_to(d, need, (struct config_binding){.source = name, .destination = name},
                         &set)
               : status;
}

/* ---- destinations ---- */

enum warren_status delay_declare_check(const struct delay_declare *d, const struct delay *delay)
{
    struct need need = {.destination = delay, .check = true};
    struct config_queue queue = {.name = delay->destination, .type = "classic", .passive = true};
    struct config_exchange exchange = {
        .name = delay->destination, .type = "direct", .passive = true};

    return declare(d, need,
                   delay->to_queue ? (struct declare_item){.queue = &queue}
                                   : (struct declare_item){.exchange = &exchange});
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
    return status == WARREN_OK
               ? bind_to(d, need,
                         (struct config_binding){.source = DELAY_DELIVER, .destination = name}, &to)
               : status;
}
