/* consumer_stream.c - a consumer whose queue is a stream: where it begins, and what it has had. */
#include <string.h>

#include "amqp/consumer/consumer_private.h"
#include "amqp/wire/properties.h"
#include "amqp/wire/property_spans.h"

static bool is_name(const amqp_table_entry_t *entry)
{
    return entry->key.len == strlen(STREAM_OFFSET) &&
           memcmp(entry->key.bytes, STREAM_OFFSET, entry->key.len) == 0;
}

enum warren_status consumer_stream_init(struct consumer *consumer,
                                        const struct consumer_options *options)
{
    amqp_table_t *arguments = &consumer->arguments;
    size_t count = (size_t)arguments->num_entries;
    amqp_table_entry_t *entries = arena_alloc(&consumer->arena, (count + 1) * sizeof *entries);
    amqp_table_entry_t *last = entries;

    if (!entries)
        return WARREN_ENOMEM;
    consumer->begin_later = stream_begin_later(options->arguments);
    stream_offsets_init(&consumer->offsets, options->begin);
    entries[count] = (amqp_table_entry_t){.key = amqp_cstring_bytes(STREAM_OFFSET)};
    for (size_t i = 0; i < count; i++) {
        if (!is_name(&arguments->entries[i])) {
            *last++ = arguments->entries[i];
            continue;
        }
        entries[count] = arguments->entries[i];
        arguments->num_entries--;
    }
    *last = entries[count];
    consumer->begin_at = last;
    arguments->num_entries += last->value.kind != 0;
    arguments->entries = entries;
    return WARREN_OK;
}

/* Then the broker leaves out messages that nobody asked for. */
static bool is_filtered(const struct consumer *consumer)
{
    return table_entry(&consumer->arguments, "x-stream-filter") != NULL;
}

void consumer_stream_begin(struct consumer *consumer)
{
    stream_begin begin = consumer->offsets.cursor;
    amqp_field_value_t *value = &consumer->begin_at->value;

    consumer->expected = begin >= 0 && !is_filtered(consumer) ? (uint64_t)begin : STREAM_NO_OFFSET;
    if (begin == STREAM_AS_CONFIGURED) {
        stream_offsets_begun(&consumer->offsets, consumer->begin_later);
        return;
    }
    consumer->arguments.num_entries = (int)(consumer->begin_at - consumer->arguments.entries) + 1;
    if (begin < 0)
        *value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_TIMESTAMP,
                                      .value = {.u64 = (uint64_t)-begin}};
    else
        *value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64, .value = {.i64 = begin}};
}

uint64_t consumer_stream_offset(struct warren_bytes properties)
{
    struct property_spans spans;

    property_spans_find(properties, &spans);
    return property_spans_count(spans.headers, STREAM_OFFSET, STREAM_NO_OFFSET);
}

bool consumer_stream_goes_on(struct consumer *consumer, const struct delivery *delivery)
{
    uint64_t expected = consumer->expected;

    consumer->expected = STREAM_NO_OFFSET;
    if (consumer->at_gap || expected == STREAM_NO_OFFSET || delivery->offset == STREAM_NO_OFFSET ||
        delivery->offset <= expected)
        return !consumer->at_gap;
    consumer->at_gap = consumer->options.stop_at_gap;
    if (consumer->events.gap)
        consumer->events.gap(consumer->user, expected, delivery->offset);
    return !consumer->at_gap;
}

bool consumer_stream_settled(struct consumer *consumer, const struct delivery *delivery)
{
    enum warren_status status;
    bool settled = false;

    if (delivery->offset == STREAM_NO_OFFSET)
        return false;
    status = stream_offsets_came(&consumer->offsets, delivery->offset, &settled);
    if (status != WARREN_OK)
        connection_fail(consumer->connection, "queue '%s': out of memory", consumer->queue);
    return settled;
}
