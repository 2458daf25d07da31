#include "app/testing_delivery.h"

#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "base/error.h"
#include "consume/attempt/attempt.h"
#include "publish/message/record.h"

/* Bytes of the names of exchanges and routing keys, as the wire has it. */
#define NAME_MAX_BYTES 255
/* What a broker may deliver, with its notes. */
#define PROPERTIES_MAX (RECORD_FRAME_MAX + FRAME_GROWTH_MAX)

/* The broker's and warren's own counts make room for the one that the test gives. */
static bool is_count(struct warren_bytes name)
{
    return annotation_is(name, "x-delivery-count") || annotation_is(name, NOTE_ATTEMPTS);
}

static enum warren_status without_counts(struct warren_table *headers, const struct arena *texts,
                                         struct arena *arena)
{
    struct warren_field *fields = arena_alloc(arena, headers->count * sizeof *fields);
    size_t count = 0;

    if (!fields)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < headers->count; i++)
        if (!is_count(arena_bytes(texts, headers->fields[i].name)))
            fields[count++] = headers->fields[i];
    *headers = (struct warren_table){fields, count};
    return WARREN_OK;
}

static enum warren_status encode(const struct warren_test_message *message,
                                 const struct arena *texts, struct arena *scratch,
                                 struct buffer *out, struct warren_error *error)
{
    struct warren_properties properties = message->message.properties;

    if (message->attempt > 0 && without_counts(&properties.headers, texts, scratch) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the message");
    return properties_encode(&properties, texts, PROPERTIES_MAX, scratch, out, error);
}

static enum warren_status make_delivery(struct warren_bytes exchange, struct warren_bytes key,
                                        const struct warren_test_message *message,
                                        const struct arena *texts, size_t marks,
                                        struct attempt **ret, struct warren_error *error)
{
    struct warren_bytes body = message->message.body;
    struct arena scratch;
    struct buffer out;
    enum warren_status status;

    arena_init(&scratch);
    buffer_init(&out, 2 * PROPERTIES_MAX);
    status = encode(message, texts, &scratch, &out, error);
    if (status == WARREN_OK) {
        struct warren_bytes encoded = {buffer_front(&out), buffer_len(&out)};

        struct delivery *delivery =
            delivery_new(attempt_room(marks), exchange, key, encoded, body.len);

        if (delivery && body.len > 0)
            memcpy(delivery_body(delivery), body.data, body.len);
        if (delivery)
            *ret = attempt_of(delivery);
        else
            status = error_set(error, WARREN_ENOMEM, "no memory for the message");
    }
    buffer_done(&out);
    arena_done(&scratch);
    return status;
}

enum warren_status testing_delivery_new(const struct warren_test_message *message,
                                        const struct arena *texts, const char *queue, size_t marks,
                                        struct attempt **ret_attempt, struct warren_error *error)
{
    struct warren_bytes exchange = arena_bytes(texts, message->exchange ? message->exchange : "");
    struct warren_bytes key =
        arena_bytes(texts, message->routing_key ? message->routing_key : queue);
    enum warren_status status;

    if (exchange.len > NAME_MAX_BYTES || key.len > NAME_MAX_BYTES)
        return error_set(error, WARREN_EINVAL, "the %s has more than %d bytes",
                         exchange.len > NAME_MAX_BYTES ? "exchange" : "routing key",
                         NAME_MAX_BYTES);
    status = make_delivery(exchange, key, message, texts, marks, ret_attempt, error);
    if (status == WARREN_OK)
        (*ret_attempt)->delivery.redelivered = message->redelivered;
    return status;
}
