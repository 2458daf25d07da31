/* property_spans.c - see property_spans.h. */
#include "amqp/wire/property_spans.h"

#include "amqp/wire/rabbitmq_c.h"
#include "amqp/wire/wire.h"

/* The two low bits of the flags name no property of class basic. */
#define KNOWN_FLAGS 0xfffcu

/* @at has an entry whose length is a number of 4 bytes in front of it. */
static size_t long_size(const uint8_t *at, size_t left)
{
    return left < 4 ? SIZE_MAX : (size_t)4 + wire_get_u32(at);
}

size_t encoded_property_size(const struct basic_property *property, const uint8_t *at, size_t left)
{
    switch (property->form) {
    case PROPERTY_TEXT:
        return left < 1 ? SIZE_MAX : (size_t)1 + at[0];
    case PROPERTY_HEADERS:
        return long_size(at, left);
    case PROPERTY_OCTET:
        return 1;
    case PROPERTY_TIME:
        break;
    }
    return 8;
}

size_t encoded_value_size(const struct field_type *type, const uint8_t *at, size_t left)
{
    return field_type_has_length(type) ? long_size(at, left) : type->size;
}

static void note(struct property_spans *spans, unsigned flag, const uint8_t *at, size_t size)
{
    if (flag == AMQP_BASIC_HEADERS_FLAG) {
        spans->headers = (struct warren_bytes){at + 4, size - 4};
        return;
    }
    if (flag == AMQP_BASIC_MESSAGE_ID_FLAG)
        spans->message_id = (struct warren_bytes){at + 1, size - 1};
    if (flag == AMQP_BASIC_TIMESTAMP_FLAG)
        spans->timestamp = (uint64_t)wire_get_integer(at, 8, false);
    if (flag > AMQP_BASIC_HEADERS_FLAG)
        spans->before_headers.len += size;
    else if (spans->after_headers.len == 0)
        spans->after_headers = (struct warren_bytes){at, size};
    else
        spans->after_headers.len += size;
}

void property_spans_find(struct warren_bytes encoded, struct property_spans *spans)
{
    const uint8_t *data = encoded.data;
    size_t done = 2;
    unsigned flags;

    *spans = (struct property_spans){{"", 0}, 0, {"", 0}, {"", 0}, {"", 0}};
    if (encoded.len < 2)
        return;
    spans->before_headers.data = data + 2;
    flags = wire_get_u16(data) & KNOWN_FLAGS;
    while (flags) {
        size_t i = basic_property_first(flags);
        size_t size = encoded_property_size(&basic_properties[i], data + done, encoded.len - done);

        if (size > encoded.len - done)
            return;
        note(spans, basic_property_flag(i), data + done, size);
        done += size;
        flags &= ~basic_property_flag(i);
    }
}

uint64_t property_spans_timestamp(struct warren_bytes encoded)
{
    struct property_spans spans;

    if (encoded.len < 2 || !(wire_get_u16(encoded.data) & AMQP_BASIC_TIMESTAMP_FLAG))
        return 0;
    property_spans_find(encoded, &spans);
    return spans.timestamp;
}

/* ---- headers ---- */

bool property_spans_header(struct warren_bytes headers, const char *name,
                           enum warren_type *ret_type, struct warren_bytes *ret_value)
{
    const uint8_t *at = headers.data;
    size_t left = headers.len;
    size_t name_len = strlen(name);

    while (left > 0 && left >= (size_t)at[0] + 2) {
        size_t before = (size_t)at[0] + 2;
        const struct field_type *type = field_type_of_letter(at[before - 1]);
        size_t size = type ? encoded_value_size(type, at + before, left - before) : SIZE_MAX;
        size_t skip;

        if (!type || size > left - before)
            return false;
        if (at[0] == name_len && memcmp(at + 1, name, name_len) == 0) {
            skip = field_type_has_length(type) ? type->size : 0;
            *ret_type = (enum warren_type)at[before - 1];
            *ret_value = (struct warren_bytes){at + before + skip, size - skip};
            return true;
        }
        at += before + size;
        left -= before + size;
    }
    return false;
}

uint64_t property_spans_count(struct warren_bytes headers, const char *name, uint64_t otherwise)
{
    const struct field_type *known;
    struct warren_bytes value;
    enum warren_type type;
    int64_t number;

    if (!property_spans_header(headers, name, &type, &value))
        return otherwise;
    known = field_type_of(type);
    if (!known || known->form != FIELD_INTEGER)
        return otherwise;
    number = wire_get_integer(value.data, known->size, known->min < 0);
    return number < 0 ? otherwise : (uint64_t)number;
}
