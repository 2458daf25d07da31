#include "app/testing_delivery.h"

#include <string.h>

#include "amqp/annotations.h"
#include "amqp/frame.h"
#include "amqp/properties.h"
#include "base/error.h"
#include "publish/record.h"

/* Bytes of the names of exchanges and routing keys, as the wire has it. */
#define NAME_MAX_BYTES 255
/* What a broker may deliver, with its notes. */
#define PROPERTIES_MAX (RECORD_FRAME_MAX + FRAME_GROWTH_MAX)

/* The broker's and warren's own counts make room for the one that the test gives. */
static bool is_count(const char *name)
{
    return strcmp(name, "x-delivery-count") == 0 || strcmp(name, NOTE_ATTEMPTS) == 0;
}

static enum warren_status without_counts(struct warren_table *headers, struct arena *arena)
{
    struct warren_field *fields = arena_alloc(arena, headers->count * sizeof *fields);
    size_t count = 0;

    if (!fields)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < headers->count; i++)
        if (!is_count(headers->fields[i].name))
            fields[count++] = headers->fields[i];
    *headers = (struct warren_table){fields, count};
    return WARREN_OK;
}

static enum warren_status encode(const struct warren_test_message *message, struct arena *scratch,
                                 struct buffer *out, struct warren_error *error)
{
    struct warren_properties properties = message->message.properties;

    if (message->attempt > 0 && without_counts(&properties.headers, scratch) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the message");
    return properties_encode(&properties, PROPERTIES_MAX, scratch, out, error);
}

static enum warren_status make_delivery(const char *exchange, const char *routing_key,
                                        const struct warren_test_message *message,
                                        struct delivery **ret, struct warren_error *error)
{
    struct warren_bytes body = message->message.body;
    struct arena scratch;
    struct buffer out;
    enum warren_status status;

    arena_init(&scratch);
    buffer_init(&out, 2 * PROPERTIES_MAX);
    status = encode(message, &scratch, &out, error);
    if (status == WARREN_OK) {
        struct warren_bytes encoded = {buffer_front(&out), buffer_len(&out)};

        *ret = delivery_new(warren_text(exchange), warren_text(routing_key), encoded, body.len);
        if (!*ret)
            status = error_set(error, WARREN_ENOMEM, "no memory for the message");
        else if (body.len > 0)
            memcpy(delivery_body(*ret), body.data, body.len);
    }
    buffer_done(&out);
    arena_done(&scratch);
    return status;
}

enum warren_status testing_delivery_new(const struct warren_test_message *message,
                                        const char *queue, struct delivery **ret_delivery,
                                        struct warren_error *error)
{
    const char *exchange = message->exchange ? message->exchange : "";
    const char *key = message->routing_key ? message->routing_key : queue;
    enum warren_status status;

    if (strlen(exchange) > NAME_MAX_BYTES || strlen(key) > NAME_MAX_BYTES)
        return error_set(error, WARREN_EINVAL, "the %s has more than %d bytes",
                         strlen(exchange) > NAME_MAX_BYTES ? "exchange" : "routing key",
                         NAME_MAX_BYTES);
    status = make_delivery(exchange, key, message, ret_delivery, error);
    if (status == WARREN_OK)
        (*ret_delivery)->redelivered = message->redelivered;
    return status;
}
