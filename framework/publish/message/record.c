/* record.c - from a message of the public API to frames. */
#include "publish/message/record.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "base/random.h"

#define SHORTSTR_MAX 255

/* Class, method and reserved-1, in front of the exchange's length. */
#define METHOD_FIXED 6
#define EXCHANGE_AT  (FRAME_HEADER_SIZE + METHOD_FIXED)

#define BASIC_CLASS    60
#define PUBLISH_METHOD 40
#define MANDATORY      1

#define FRAME_END 0xCE

/* ---- scratch memory of a thread: no malloc but the record's own ---- */

struct scratch {
    struct arena arena;
    struct buffer properties;
};

static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
static _Thread_local struct scratch *thread_scratch;

static void scratch_free(void *arg)
{
    struct scratch *scratch = arg;

    thread_scratch = NULL;
    arena_done(&scratch->arena);
    buffer_done(&scratch->properties);
    free(scratch);
}

static void scratch_init(void)
{
    pthread_key_create(&scratch_key, scratch_free);
}

static struct scratch *scratch_of_thread(void)
{
    struct scratch *scratch = thread_scratch;

    if (scratch)
        return scratch;
    pthread_once(&scratch_once, scratch_init);
    scratch = calloc(1, sizeof *scratch);
    if (!scratch || pthread_setspecific(scratch_key, scratch) != 0) {
        free(scratch);
        return NULL;
    }
    arena_init(&scratch->arena);
    buffer_init(&scratch->properties, 2 * RECORD_FRAME_MAX);
    thread_scratch = scratch;
    return scratch;
}

/* ---- encoding ---- */

static uint8_t *put_u16(uint8_t *at, uint16_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t number)
{
    return put_u16(put_u16(at, (uint16_t)(number >> 16)), (uint16_t)number);
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t len)
{
    if (len > 0)
        memcpy(at, data, len);
    return at + len;
}

static uint8_t *put_shortstr(uint8_t *at, struct warren_bytes text)
{
    *at = (uint8_t)text.len;
    return put_bytes(at + 1, text.data, text.len);
}

/* The channel is filled in by record_write(). */
static uint8_t *put_frame_header(uint8_t *at, enum frame_type type, size_t payload_len)
{
    *at = (uint8_t)type;
    return put_u32(put_u16(at + 1, 0), (uint32_t)payload_len);
}

static size_t method_len(const struct record_parts *parts)
{
    return METHOD_FIXED + 1 + parts->exchange.len + 1 + parts->routing_key.len + 1;
}

static void put_frames(struct record *record, const struct record_parts *parts)
{
    uint8_t *at = put_frame_header(record->data, FRAME_METHOD, method_len(parts));

    at = put_u16(put_u16(put_u16(at, BASIC_CLASS), PUBLISH_METHOD), 0);
    at = put_shortstr(at, parts->exchange);
    at = put_shortstr(at, parts->routing_key);
    *at++ = parts->mandatory ? MANDATORY : 0;
    *at++ = FRAME_END;

    record->header_at = (uint32_t)(at - record->data);
    at = put_frame_header(at, FRAME_HEADER, HEADER_FIXED + parts->properties.len);
    at = put_u16(put_u16(at, BASIC_CLASS), 0);
    at = put_u32(at, (uint32_t)((uint64_t)parts->body.len >> 32));
    at = put_u32(at, (uint32_t)parts->body.len);
    at = put_bytes(at, parts->properties.data, parts->properties.len);
    *at++ = FRAME_END;

    record->body_at = (uint32_t)(at - record->data);
    record->body_len = parts->body.len;
    if (parts->body.len > 0) {
        at = put_frame_header(at, FRAME_BODY, parts->body.len);
        at = put_bytes(at, parts->body.data, parts->body.len);
        *at++ = FRAME_END;
    }
    record->id_at = (size_t)(at - record->data);
    record->id_len = (uint8_t)parts->id.len;
    at = put_bytes(at, parts->id.data, parts->id.len);
    *at = '\0';
}

static size_t frames_size(const struct record_parts *parts)
{
    return FRAME_OVERHEAD + method_len(parts) + FRAME_OVERHEAD + HEADER_FIXED +
           parts->properties.len + (parts->body.len > 0 ? FRAME_OVERHEAD + parts->body.len : 0);
}

size_t record_properties_max(uint32_t frame_max)
{
    return frame_max - FRAME_OVERHEAD - HEADER_FIXED;
}

static enum warren_status add_note(struct warren_properties *properties, const char *uuid,
                                   struct arena *arena)
{
    const struct warren_table *headers = &properties->headers;
    struct warren_field *fields = arena_alloc(arena, (headers->count + 1) * sizeof *fields);

    if (!fields)
        return WARREN_ENOMEM;
    if (headers->count > 0)
        memcpy(fields, headers->fields, headers->count * sizeof *fields);
    fields[headers->count] = warren_field_text(NOTE_COPY, uuid);
    properties->headers = (struct warren_table){fields, headers->count + 1};
    return WARREN_OK;
}

static enum warren_status encode_properties(const struct warren_publish *publish,
                                            const struct arena *texts, enum record_kind kind,
                                            struct scratch *scratch, char uuid[UUID_TEXT_SIZE],
                                            struct record_parts *parts)
{
    struct warren_properties properties = publish->message->properties;
    enum warren_status status = WARREN_OK;

    if (properties.delivery_mode == 0)
        properties.delivery_mode = publish->transient ? 1 : 2;
    arena_reset(&scratch->arena);
    parts->id = arena_bytes(texts, properties.message_id);
    if (parts->id.len == 0) {
        uuid_v7(uuid);
        parts->id = warren_text(uuid);
        if (kind == RECORD_COPY)
            status = add_note(&properties, uuid, &scratch->arena);
        else
            properties.message_id = uuid;
    }
    if (status != WARREN_OK)
        return status;
    buffer_taken(&scratch->properties, buffer_len(&scratch->properties));
    status = properties_encode(&properties, texts, record_properties_max(RECORD_FRAME_MAX),
                               &scratch->arena, &scratch->properties, NULL);
    parts->properties.data = buffer_front(&scratch->properties);
    parts->properties.len = buffer_len(&scratch->properties);
    return status;
}

static enum warren_status measure(const struct warren_publish *publish, const struct arena *texts,
                                  enum record_kind kind, struct scratch *scratch,
                                  char uuid[UUID_TEXT_SIZE], struct record_parts *parts)
{
    if (!publish->message || (publish->message->body.len > 0 && !publish->message->body.data))
        return WARREN_EINVAL;
    parts->exchange = arena_bytes(texts, publish->exchange ? publish->exchange : "");
    parts->routing_key = arena_bytes(texts, publish->routing_key ? publish->routing_key : "");
    if (parts->exchange.len > SHORTSTR_MAX || parts->routing_key.len > SHORTSTR_MAX)
        return WARREN_EINVAL;
    parts->body = publish->message->body;
    parts->mandatory = !publish->optional;
    return encode_properties(publish, texts, kind, scratch, uuid, parts);
}

static enum warren_status build(const struct record_parts *parts, size_t max_size,
                                struct record **ret_record)
{
    struct record *record;
    size_t size;

    if (parts->body.len > max_size)
        return WARREN_ETOOBIG;
    size = frames_size(parts);
    if (size > max_size)
        return WARREN_ETOOBIG;
    record = malloc(sizeof *record + size + parts->id.len + 1);
    if (!record)
        return WARREN_ENOMEM;
    *record = (struct record){.deadline_ms = INT64_MAX, .leave_ms = INT64_MAX};
    list_init(&record->link);
    put_frames(record, parts);
    *ret_record = record;
    return WARREN_OK;
}

enum warren_status record_new(const struct warren_publish *publish, const struct arena *texts,
                              enum record_kind kind, size_t max_size, struct record **ret_record)
{
    struct scratch *scratch = scratch_of_thread();
    struct record_parts parts = {.mandatory = true};
    char uuid[UUID_TEXT_SIZE];
    enum warren_status status;

    if (!scratch)
        return WARREN_ENOMEM;
    status = measure(publish, texts, kind, scratch, uuid, &parts);
    return status == WARREN_OK ? build(&parts, max_size, ret_record) : status;
}

enum warren_status record_restore(const struct record_parts *parts, struct record **ret_record,
                                  const char **ret_why)
{
    *ret_why = "a part of it is too long";
    if (parts->exchange.len > SHORTSTR_MAX || parts->routing_key.len > SHORTSTR_MAX ||
        parts->id.len > SHORTSTR_MAX ||
        parts->properties.len > record_properties_max(RECORD_FRAME_MAX))
        return WARREN_EINVAL;
    if (properties_check(parts->properties, ret_why) != WARREN_OK)
        return WARREN_EINVAL;
    return build(parts, SIZE_MAX, ret_record);
}

void record_free(struct record *record)
{
    if (!record)
        return;
    free(record->reply_text);
    free(record->delay);
    free(record);
}

static struct warren_bytes shortstr_at(const uint8_t *at)
{
    struct warren_bytes bytes = {at + 1, *at};
    return bytes;
}

struct warren_bytes record_exchange(const struct record *record)
{
    return shortstr_at(record->data + EXCHANGE_AT);
}

struct warren_bytes record_routing_key(const struct record *record)
{
    return shortstr_at(record->data + EXCHANGE_AT + 1 + record->data[EXCHANGE_AT]);
}

void record_parts(const struct record *record, struct record_parts *parts)
{
    const uint8_t *properties = record->data + record->header_at + FRAME_HEADER_SIZE + HEADER_FIXED;

    *parts = (struct record_parts){
        .exchange = record_exchange(record),
        .routing_key = record_routing_key(record),
        .id = record_id_bytes(record),
        .properties = {properties, (size_t)(record->data + record->body_at - 1 - properties)},
        .body = {record->data + record->body_at + FRAME_HEADER_SIZE, record->body_len},
        .mandatory = record->data[record->header_at - 2] == MANDATORY,
    };
}

struct record *record_of_id(struct warren_bytes id)
{
    struct record *record = malloc(sizeof *record + id.len + 1);

    if (!record)
        return NULL;
    *record = (struct record){
        .deadline_ms = INT64_MAX, .leave_ms = INT64_MAX, .aside = true, .id_len = (uint8_t)id.len};
    list_init(&record->link);
    *put_bytes(record->data, id.data, id.len) = '\0';
    return record;
}

struct record *record_receipt_only(struct record *record)
{
    struct record *receipt = record_of_id(record_id_bytes(record));

    if (!receipt)
        return NULL;
    receipt->seq = record->seq;
    receipt->sends = record->sends;
    receipt->on_receipt = record->on_receipt;
    receipt->user = record->user;
    record->on_receipt = NULL;
    record->leave_ms = INT64_MAX;
    return receipt;
}

/* ---- writing ---- */

/* The frames before the body, and the body too if it fits into one frame: a single copy. */
static enum warren_status begin(struct record *record, struct buffer *out, uint16_t channel,
                                uint32_t frame_max)
{
    bool whole = record->body_len <= frame_max - FRAME_OVERHEAD;
    size_t len = whole ? record->id_at : record->body_at;
    uint8_t *at;

    if (buffer_reserve(out, len) != WARREN_OK)
        return WARREN_ENOMEM;
    at = buffer_back(out);
    memcpy(at, record->data, len);
    put_u16(at + 1, channel);
    put_u16(at + record->header_at + 1, channel);
    if (len > record->body_at)
        put_u16(at + record->body_at + 1, channel);
    buffer_added(out, len);
    record->begun = true;
    record->body_written = whole ? record->body_len : 0;
    return WARREN_OK;
}

enum warren_status record_write(struct record *record, struct buffer *out, uint16_t channel,
                                uint32_t frame_max, size_t high)
{
    const uint8_t *body = record->data + record->body_at + FRAME_HEADER_SIZE;
    size_t piece_max = frame_max - FRAME_OVERHEAD;
    enum warren_status status;

    if (!record->begun) {
        status = begin(record, out, channel, frame_max);
        if (status != WARREN_OK)
            return status;
    }
    while (record_half_written(record) && buffer_len(out) <= high) {
        size_t left = record->body_len - record->body_written;
        size_t piece = left < piece_max ? left : piece_max;

        if (frame_put(out, FRAME_BODY, channel, body + record->body_written, piece) != WARREN_OK)
            return WARREN_ENOMEM;
        record->body_written += piece;
    }
    return WARREN_OK;
}
