/* property_spans.c - see property_spans.h. */
#include "amqp/wire/property_spans.h"

#include "amqp/wire/rabbitmq_c.h"
#include "amqp/wire/wire.h"

/* The two low bits of the flags name no property of class basic. */
#define KNOWN_FLAGS 0xfffcu

/* Bytes that the property of @flag takes at @at; more than @left if it reaches over the end. */
static size_t property_size(unsigned flag, const uint8_t *at, size_t left)
{
    switch (flag) {
    case AMQP_BASIC_HEADERS_FLAG:
        return left < 4 ? SIZE_MAX : (size_t)4 + wire_get_u32(at);
    case AMQP_BASIC_DELIVERY_MODE_FLAG:
    case AMQP_BASIC_PRIORITY_FLAG:
        return 1;
    case AMQP_BASIC_TIMESTAMP_FLAG:
        return 8;
    default: /* all the others are short strings */
        return left < 1 ? SIZE_MAX : (size_t)1 + at[0];
    }
}

static void note(struct property_spans *spans, unsigned flag, const uint8_t *at, size_t size)
{
    if (flag == AMQP_BASIC_HEADERS_FLAG) {
        spans->headers = (struct warren_bytes){at + 4, size - 4};
        return;
    }
    if (flag == AMQP_BASIC_MESSAGE_ID_FLAG)
        spans->message_id = (struct warren_bytes){at + 1, size - 1};
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

    *spans = (struct property_spans){{"", 0}, {"", 0}, {"", 0}, {"", 0}};
    if (encoded.len < 2)
        return;
    spans->before_headers.data = data + 2;
    flags = wire_get_u16(data) & KNOWN_FLAGS;
    while (flags) {
        unsigned flag = 1u << (31 - __builtin_clz(flags)); /* the list is in this order */
        size_t size = property_size(flag, data + done, encoded.len - done);

        if (size > encoded.len - done)
            return;
        note(spans, flag, data + done, size);
        done += size;
        flags &= ~flag;
    }
}

/* ---- headers ---- */

/* Bytes of a value of @type at @at, with its length if it has one. */
static size_t value_size(unsigned type, const uint8_t *at, size_t left)
{
    switch (type) {
    case WARREN_VOID:
        return 0;
    case WARREN_BOOL:
    case WARREN_I8:
    case WARREN_U8:
        return 1;
    case WARREN_I16:
    case WARREN_U16:
        return 2;
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_F32:
        return 4;
    case WARREN_DECIMAL:
        return 5;
    case WARREN_I64:
    case WARREN_F64:
    case WARREN_TIMESTAMP:
    case AMQP_FIELD_KIND_U64:
        return 8;
    case WARREN_STRING:
    case WARREN_BYTES:
    case WARREN_ARRAY:
    case WARREN_TABLE:
        return left < 4 ? SIZE_MAX : (size_t)4 + wire_get_u32(at);
    default:
        return SIZE_MAX;
    }
}

static bool has_length(unsigned type)
{
    return type == WARREN_STRING || type == WARREN_BYTES || type == WARREN_ARRAY ||
           type == WARREN_TABLE;
}

bool property_spans_header(struct warren_bytes headers, const char *name,
                           enum warren_type *ret_type, struct warren_bytes *ret_value)
{
    const uint8_t *at = headers.data;
    size_t left = headers.len;
    size_t name_len = strlen(name);

    while (left > 0 && left >= (size_t)at[0] + 2) {
        size_t before = (size_t)at[0] + 2;
        unsigned type = at[before - 1];
        size_t size = value_size(type, at + before, left - before);
        size_t skip = has_length(type) ? 4 : 0;

        if (size > left - before)
            return false;
        if (at[0] == name_len && memcmp(at + 1, name, name_len) == 0) {
            *ret_type = (enum warren_type)type;
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
    struct warren_bytes value;
    enum warren_type type;
    const uint8_t *at;
    int64_t number;

    if (!property_spans_header(headers, name, &type, &value))
        return otherwise;
    at = value.data;
    switch (type) {
    case WARREN_U8:
        return at[0];
    case WARREN_U16:
        return wire_get_u16(at);
    case WARREN_U32:
        return wire_get_u32(at);
    case WARREN_I8:
        number = (int8_t)at[0];
        break;
    case WARREN_I16:
        number = (int16_t)wire_get_u16(at);
        break;
    case WARREN_I32:
        number = (int32_t)wire_get_u32(at);
        break;
    case WARREN_I64:
        number = (int64_t)wire_get_u64(at);
        break;
    default:
        return otherwise;
    }
    return number < 0 ? otherwise : (uint64_t)number;
}
