/* history.c - see history.h. */
#include "consume/relay/history.h"

#include "amqp/wire/notes.h"
#include "amqp/wire/property_spans.h"

/* Only a redelivered message has failed deliveries: the broker's header of a new one is its
 * publisher's. RabbitMQ 4.3 counts apart what was only handed back: that has not failed. */
static uint32_t broker_count(const struct delivery *delivery)
{
    struct property_spans spans;
    struct warren_bytes acquired;
    enum warren_type type;
    uint64_t count;

    if (!delivery->redelivered)
        return 0;
    property_spans_find(delivery_properties(delivery), &spans);
    count = property_spans_count(
        spans.headers, "x-delivery-count",
        !property_spans_header(spans.headers, "x-acquired-count", &type, &acquired));
    return count <= NOTES_COUNT_MAX ? (uint32_t)count : 1;
}

enum warren_status history_read(const struct delivery *delivery, const char *queue,
                                bool broker_counts, struct arena *arena, struct history *history)
{
    struct notes notes;

    *history = (struct history){.failed = broker_counts ? broker_count(delivery) : 0};
    if (!notes_of_copy(delivery, queue, &notes))
        return WARREN_OK;
    history->failed += notes.attempts;
    history->first_failure_s = notes.first_failure_s;
    history->replays = notes.replays;
    history->copied = true;
    if (!notes.exchange.data)
        return WARREN_OK;
    history->exchange = arena_text(arena, notes.exchange.data, notes.exchange.len);
    history->routing_key = arena_text(arena, notes.routing_key.data, notes.routing_key.len);
    return history->exchange && history->routing_key ? WARREN_OK : WARREN_ENOMEM;
}
