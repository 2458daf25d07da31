/* delay_parts.c - see delay_parts.h. */
#include "publish/delay/delay_parts.h"

#include <stdio.h>
#include <string.h>

/* Where messages go that have been in a queue for @ttl_ms. */
struct expiry {
    int64_t ttl_ms;
    const char *exchange;
    const char *routing_key; /* NULL: their own */
};

static void headers_exchange(struct delay_part *part)
{
    part->exchange =
        (struct config_exchange){.name = part->name, .type = "headers", .durable = true};
}

/* At least once needs a queue that refuses when it is full, though it has no limit. */
static void expiring_queue(struct delay_part *part, const struct expiry *expiry)
{
    struct warren_field *field = part->fields;

    *field++ = warren_field_i64("x-message-ttl", expiry->ttl_ms);
    *field++ = warren_field_text("x-overflow", "reject-publish");
    *field++ = warren_field_text("x-dead-letter-strategy", "at-least-once");
    *field++ = warren_field_text("x-dead-letter-exchange", expiry->exchange);
    if (expiry->routing_key)
        *field++ = warren_field_text("x-dead-letter-routing-key", expiry->routing_key);
    part->queue =
        (struct config_queue){.name = part->name,
                              .type = "quorum",
                              .durable = true,
                              .arguments = {part->fields, (size_t)(field - part->fields)}};
}

/* Messages with this header go from exchange @source to @destination. */
static void bind_to(struct delay_part *part, const char *source, const char *destination,
                    struct warren_field header)
{
    part->header = header;
    part->binding = (struct config_binding){.source = source,
                                            .destination = destination,
                                            .routing_key = "",
                                            .arguments = {&part->header, 1}};
}

static void name_level(struct delay_part *part, unsigned level)
{
    *part = (struct delay_part){.name = ""};
    delay_level_name(level, part->name);
    if (level > 0)
        delay_level_name(level - 1, part->below);
    else
        snprintf(part->below, sizeof part->below, "%s", DELAY_DELIVER);
}

void delay_part_deliver(struct delay_part *part)
{
    *part = (struct delay_part){.name = DELAY_DELIVER};
    headers_exchange(part);
}

void delay_part_exchange(unsigned level, struct delay_part *part)
{
    name_level(part, level);
    headers_exchange(part);
    bind_to(part, part->name, part->below, warren_field_bool(delay_level_header(level), false));
    part->binding.to_exchange = true;
}

void delay_part_queue(unsigned level, struct delay_part *part)
{
    name_level(part, level);
    expiring_queue(
        part, &(struct expiry){.ttl_ms = (INT64_C(1) << level) * 1000, .exchange = part->below});
    bind_to(part, part->name, part->name, warren_field_bool(delay_level_header(level), true));
}

void delay_part_departure(const struct delay *delay, struct delay_part *part)
{
    struct expiry expiry = {.ttl_ms = 0};

    *part = (struct delay_part){.name = ""};
    delay_departure_name(delay, part->name);
    snprintf(part->destination, sizeof part->destination, "%s", delay->destination);
    expiry.exchange = delay->to_queue ? "" : part->destination;
    expiry.routing_key = delay->to_queue ? part->destination : NULL;
    expiring_queue(part, &expiry);
    bind_to(part, DELAY_DELIVER, part->name, warren_field_text(DELAY_TO_HEADER, part->name));
}
