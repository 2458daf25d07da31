/* notes.c - see notes.h. */
#include "amqp/wire/notes.h"

#include <string.h>
#include <time.h>

#include "amqp/wire/property_spans.h"
#include "amqp/wire/wire.h"
#include "base/traceparent.h"

#define NAME_MAX       255 /* AMQP 0-9-1, section 4.2.5.3 */
#define EXPIRATION_MAX 20  /* digits of 64 bits */
#define LEFT_OUT_MAX   512

bool notes_is_name(struct warren_bytes text)
{
    return text.len <= NAME_MAX;
}

bool notes_is_past(uint64_t seconds)
{
    return seconds > 0 && seconds <= (uint64_t)time(NULL) + NOTES_SKEW_S;
}

/* ---- one note: false if there is one that warren cannot have written ---- */

static bool read_name(struct warren_bytes headers, const char *name, struct warren_bytes *ret)
{
    enum warren_type type;

    return !property_spans_header(headers, name, &type, ret) ||
           (type == WARREN_STRING && notes_is_name(*ret));
}

static bool read_count(struct warren_bytes headers, const char *name, uint32_t *ret)
{
    struct warren_bytes value;
    enum warren_type type;
    uint64_t count;

    if (!property_spans_header(headers, name, &type, &value))
        return true;
    count = property_spans_count(headers, name, UINT64_MAX);
    *ret = count <= NOTES_COUNT_MAX ? (uint32_t)count : 0;
    return count <= NOTES_COUNT_MAX;
}

static bool read_time(struct warren_bytes headers, const char *name, uint64_t *ret)
{
    struct warren_bytes value;
    enum warren_type type;

    if (!property_spans_header(headers, name, &type, &value))
        return true;
    if (type != WARREN_TIMESTAMP)
        return false;
    *ret = wire_get_u64(value.data);
    return notes_is_past(*ret);
}

/* ---- all of them ---- */

static bool is_copy(const struct notes *n, const char *queue)
{
    return annotation_is(n->queue, queue) && n->exchange.data && n->routing_key.data &&
           (n->attempts == 0 || n->first_failure_s > 0);
}

/* It begins with fresh attempts. */
static bool is_replay(const struct notes *n)
{
    return !n->queue.data && n->replays > 0 && n->attempts == 0 && n->first_failure_s == 0 &&
           !n->exchange.data == !n->routing_key.data;
}

bool notes_read(const struct delivery *delivery, const char *queue, struct notes *notes)
{
    struct property_spans spans;

    *notes = (struct notes){.attempts = 0};
    property_spans_find(delivery_properties(delivery), &spans);
    if (read_name(spans.headers, NOTE_QUEUE, &notes->queue) &&
        read_name(spans.headers, NOTE_EXCHANGE, &notes->exchange) &&
        read_name(spans.headers, NOTE_ROUTING_KEY, &notes->routing_key) &&
        read_count(spans.headers, NOTE_ATTEMPTS, &notes->attempts) &&
        read_count(spans.headers, NOTE_REPLAYS, &notes->replays) &&
        read_time(spans.headers, NOTE_FIRST_FAILURE, &notes->first_failure_s) &&
        (is_copy(notes, queue) || is_replay(notes)))
        return true;
    *notes = (struct notes){.attempts = 0};
    return false;
}

bool notes_of_copy(const struct delivery *delivery, const char *queue, struct notes *notes)
{
    struct warren_bytes key = {delivery_routing_key(delivery), delivery->routing_key_len};

    *notes = (struct notes){.attempts = 0};
    return delivery->exchange_len == 0 && annotation_is(key, queue) &&
           notes_read(delivery, queue, notes);
}

/* ---- what was put aside ---- */

static bool is_names(const struct warren_value *value)
{
    if (value->type == WARREN_STRING)
        return notes_is_name(value->as.bytes);
    if (value->type != WARREN_ARRAY)
        return false;
    for (size_t i = 0; i < value->as.array.count; i++)
        if (value->as.array.values[i].type != WARREN_STRING ||
            value->as.array.values[i].as.bytes.len > NAME_MAX)
            return false;
    return true;
}

static bool is_number(struct warren_bytes text)
{
    const char *at = text.data;

    for (size_t i = 0; i < text.len; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    return text.len > 0 && text.len <= EXPIRATION_MAX;
}

bool notes_is_aside(struct warren_bytes name, const struct warren_value *value)
{
    struct traceparent trace;

    if (annotation_is(name, NOTE_CC))
        return is_names(value);
    if (value->type != WARREN_STRING)
        return false;
    if (annotation_is(name, NOTE_EXPIRATION))
        return is_number(value->as.bytes);
    if (annotation_is(name, NOTE_USER_ID))
        return notes_is_name(value->as.bytes);
    if (annotation_is(name, NOTE_TRACE))
        return traceparent_parse(value->as.bytes, &trace);
    return annotation_is(name, NOTE_LEFT_OUT) && value->as.bytes.len <= LEFT_OUT_MAX;
}
