/* frame.c - see frame.h; content headers are in content.c. */
#include "amqp/wire/frame.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "amqp/wire/rabbitmq_c.h"
#include "amqp/wire/wire.h"
#include "base/ascii.h"

#define END_BYTE 0xCE

#define METHOD_PAYLOAD_MIN 4                  /* class and method */
#define HEADER_PAYLOAD_MIN (HEADER_FIXED + 2) /* and property flags */

/* Room that is tried first for a method; larger ones (arguments) get a whole frame's. */
#define METHOD_ROOM 1024

/* What is wrong with a frame header, or NULL. */
static const char *header_fault(uint8_t type, uint16_t channel, uint32_t size)
{
    switch (type) {
    case FRAME_METHOD:
        return size < METHOD_PAYLOAD_MIN ? "a method frame is too short" : NULL;
    case FRAME_HEADER:
        if (channel == 0)
            return "a content header came on channel 0";
        return size < HEADER_PAYLOAD_MIN ? "a content header frame is too short" : NULL;
    case FRAME_BODY:
        return channel == 0 ? "a body frame came on channel 0" : NULL;
    default:
        if (channel != 0)
            return "a heartbeat came on a channel other than 0";
        return size != 0 ? "a heartbeat has a payload" : NULL;
    }
}

/* The largest payload of a frame of @type. */
static uint32_t payload_max(uint8_t type, uint32_t frame_max)
{
    return type == FRAME_HEADER ? FRAME_SKIPPED_MAX : frame_max - FRAME_OVERHEAD;
}

/* How much of a payload of @size bytes is not taken. */
static uint32_t skipped(uint8_t type, uint32_t size, uint32_t frame_max)
{
    if (type != FRAME_HEADER || size <= frame_max - FRAME_OVERHEAD + FRAME_GROWTH_MAX)
        return 0;
    return size - HEADER_FIXED;
}

bool frame_end(uint8_t byte)
{
    return byte == END_BYTE;
}

static bool is_frame_type(uint8_t type)
{
    return (type >= FRAME_METHOD && type <= FRAME_BODY) || type == FRAME_HEARTBEAT;
}

enum frame_found frame_read(const uint8_t *data, size_t len, uint32_t frame_max,
                            struct frame *frame, size_t *ret_size, const char **ret_why)
{
    uint32_t size;
    uint16_t channel;

    assert(frame_max > FRAME_OVERHEAD);
    if (len > 0 && !is_frame_type(data[0])) {
        *ret_why = "a frame has an unknown type";
        return FRAME_BROKEN;
    }
    if (len < FRAME_HEADER_SIZE) {
        *ret_size = FRAME_HEADER_SIZE;
        return FRAME_PARTIAL;
    }
    channel = wire_get_u16(data + 1);
    size = wire_get_u32(data + 3);
    if (size > payload_max(data[0], frame_max)) {
        *ret_why = data[0] == FRAME_HEADER ? "a content header is larger than 128 MiB"
                                           : "a frame is larger than frame_max";
        return FRAME_BROKEN;
    }
    *ret_why = header_fault(data[0], channel, size);
    if (*ret_why)
        return FRAME_BROKEN;

    frame->skipped = skipped(data[0], size, frame_max);
    *ret_size = frame->skipped ? FRAME_HEADER_SIZE + HEADER_FIXED : (size_t)size + FRAME_OVERHEAD;
    if (len < *ret_size)
        return FRAME_PARTIAL;
    if (!frame->skipped && !frame_end(data[FRAME_HEADER_SIZE + size])) {
        *ret_why = FRAME_NO_END;
        return FRAME_BROKEN;
    }
    frame->type = (enum frame_type)data[0];
    frame->channel = channel;
    frame->payload.data = data + FRAME_HEADER_SIZE;
    frame->payload.len = size - frame->skipped;
    return FRAME_COMPLETE;
}

static uint8_t *put_header(uint8_t *at, enum frame_type type, uint16_t channel, size_t size)
{
    at[0] = (uint8_t)type;
    wire_put_u16(at + 1, channel);
    wire_put_u32(at + 3, (uint32_t)size);
    return at + FRAME_HEADER_SIZE;
}

/* Encode in at most @room bytes: the bytes of the arguments, or negative. */
static int encode_arguments(struct buffer *out, size_t room, uint32_t id, void *decoded)
{
    amqp_bytes_t arguments;

    arguments.bytes = buffer_back(out) + FRAME_HEADER_SIZE + METHOD_PAYLOAD_MIN;
    arguments.len = room - FRAME_OVERHEAD - METHOD_PAYLOAD_MIN;
    return amqp_encode_method(id, decoded, arguments);
}

uint32_t frame_method(const struct frame *frame)
{
    return wire_get_u32(frame->payload.data);
}

struct warren_bytes frame_arguments(const struct frame *frame)
{
    return (struct warren_bytes){(const uint8_t *)frame->payload.data + METHOD_PAYLOAD_MIN,
                                 frame->payload.len - METHOD_PAYLOAD_MIN};
}

enum warren_status frame_put_method(struct buffer *out, uint16_t channel, uint32_t id,
                                    void *decoded, uint32_t frame_max)
{
    size_t room = frame_max < METHOD_ROOM ? frame_max : METHOD_ROOM;
    enum warren_status status;
    uint8_t *at;
    int len;

    assert(frame_max > FRAME_OVERHEAD + METHOD_PAYLOAD_MIN);
    status = buffer_reserve(out, room);
    if (status != WARREN_OK)
        return status;
    len = encode_arguments(out, room, id, decoded);
    if (len < 0 && room < frame_max) {
        /* rabbitmq-c has one error for a lack of room and for a bad argument: try with all there
         * can be */
        status = buffer_reserve(out, frame_max);
        if (status != WARREN_OK)
            return status;
        len = encode_arguments(out, frame_max, id, decoded);
    }
    if (len < 0)
        return WARREN_ETOOBIG;

    at = put_header(buffer_back(out), FRAME_METHOD, channel, (size_t)len + METHOD_PAYLOAD_MIN);
    wire_put_u32(at, id);
    at[METHOD_PAYLOAD_MIN + len] = END_BYTE;
    buffer_added(out, (size_t)len + METHOD_PAYLOAD_MIN + FRAME_OVERHEAD);
    return WARREN_OK;
}

enum warren_status frame_put(struct buffer *out, enum frame_type type, uint16_t channel,
                             const void *payload, size_t len)
{
    enum warren_status status;
    uint8_t *at;

    if (len > UINT32_MAX - FRAME_OVERHEAD)
        return WARREN_ETOOBIG;
    status = buffer_reserve(out, len + FRAME_OVERHEAD);
    if (status != WARREN_OK)
        return status;
    at = put_header(buffer_back(out), type, channel, len);
    if (len)
        memcpy(at, payload, len);
    at[len] = END_BYTE;
    buffer_added(out, len + FRAME_OVERHEAD);
    return WARREN_OK;
}

enum warren_status frame_put_heartbeat(struct buffer *out)
{
    return frame_put(out, FRAME_HEARTBEAT, 0, NULL, 0);
}

/* ---- names of methods ---- */

#define PREFIX "AMQP_"
#define SUFFIX "_METHOD"

struct method_name method_name(uint32_t id)
{
    const char *known = amqp_method_name(id);
    struct method_name name;
    char between = '.'; /* class and method; later words of a method are hyphenated */
    size_t len;

    if (!known || strncmp(known, PREFIX, strlen(PREFIX)) != 0) {
        snprintf(name.text, sizeof name.text, "method %u.%u", id >> 16, id & 0xffff);
        return name;
    }
    len = strlen(known) - strlen(PREFIX) - strlen(SUFFIX);
    snprintf(name.text, sizeof name.text, "%.*s", (int)len, known + strlen(PREFIX));
    for (char *at = name.text; *at; at++) {
        if (*at == '_') {
            *at = between;
            between = '-';
        } else {
            *at = ascii_lower(*at);
        }
    }
    return name;
}
