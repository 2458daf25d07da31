/* stored_reply.c - see stored_reply.h. Four bytes of length, least first; properties; body. */
#include "middleware/stored_reply.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/properties.h"
#include "base/middleware_own.h"

#define HEAD sizeof(uint32_t)

static enum warren_status join(struct warren_bytes properties, struct warren_bytes body, size_t max,
                               void **ret_data, size_t *ret_len)
{
    uint32_t len = htole32((uint32_t)properties.len);
    uint8_t *data;

    if (properties.len > max || body.len > max || HEAD + properties.len + body.len > max)
        return WARREN_ETOOBIG;
    data = malloc(HEAD + properties.len + body.len);
    if (!data)
        return WARREN_ENOMEM;
    memcpy(data, &len, HEAD);
    memcpy(data + HEAD, properties.data, properties.len);
    if (body.len > 0)
        memcpy(data + HEAD + properties.len, body.data, body.len);
    *ret_data = data;
    *ret_len = HEAD + properties.len + body.len;
    return WARREN_OK;
}

enum warren_status stored_reply_write(struct warren_job *job, const struct warren_message *reply,
                                      size_t max, void **ret_data, size_t *ret_len)
{
    struct arena scratch;
    struct buffer out;
    enum warren_status status;

    arena_init(&scratch);
    buffer_init(&out, max);
    status = properties_encode(&reply->properties, job_arena(job), max, &scratch, &out, NULL);
    if (status == WARREN_OK)
        status = join((struct warren_bytes){buffer_front(&out), buffer_len(&out)}, reply->body, max,
                      ret_data, ret_len);
    buffer_done(&out);
    arena_done(&scratch);
    return status;
}

enum warren_status stored_reply_send(struct warren_bytes data, struct warren_job *job)
{
    struct warren_message reply;
    struct warren_bytes properties;
    enum warren_status status;
    const char *why;
    uint32_t len;

    if (data.len < HEAD)
        return WARREN_EPROTOCOL;
    memcpy(&len, data.data, HEAD);
    len = le32toh(len);
    if (len > data.len - HEAD)
        return WARREN_EPROTOCOL;
    properties = (struct warren_bytes){(const uint8_t *)data.data + HEAD, len};
    if (properties_check(properties, &why) != WARREN_OK)
        return WARREN_EPROTOCOL;
    reply.body.data = (const uint8_t *)data.data + HEAD + len;
    reply.body.len = data.len - HEAD - len;
    status = properties_decode(properties, job_arena(job), &reply.properties);
    return status == WARREN_OK ? warren_job_reply(job, &reply) : status;
}
