/* property_spans.c - see property_spans.h. */
#include "amqp/property_spans.h"

#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

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
    if (flag == AMQP_BASIC_HEADERS_FLAG)
        return;
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

    *spans = (struct property_spans){{"", 0}, {"", 0}, {"", 0}};
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
