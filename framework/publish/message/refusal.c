/* refusal.c - see refusal.h. */
#include "publish/message/refusal.h"

#include <string.h>

#include "amqp/wire/properties.h"
#include "base/error.h"
#include "publish/delay/delay.h"
#include "publish/message/record.h"

#define SHORTSTR_MAX 255

static bool holds_nul(struct warren_bytes name)
{
    return name.len > 0 && memchr(name.data, '\0', name.len);
}

static const char *delay_refusal(const struct warren_publish *publish, struct warren_bytes exchange,
                                 struct warren_bytes key)
{
    const char *expiration = publish->message->properties.expiration;

    if (expiration && expiration[0])
        return "a delayed message has no expiration, which would end the delay";
    if (exchange.len == 0 && key.len == 0)
        return "a delay needs an exchange, or a queue's name as the routing key";
    if (holds_nul(exchange) || (exchange.len == 0 && holds_nul(key)))
        return "the exchange or queue behind a delay has no NUL in its name";
    if (exchange.len == 0 && key.len >= strlen(DIRECT_REPLY) &&
        memcmp(key.data, DIRECT_REPLY, strlen(DIRECT_REPLY)) == 0)
        return "a direct reply cannot be delayed: its queue ends with a connection";
    return NULL;
}

/* NULL: it is not found here. */
static const char *refusal_of(const struct warren_publish *publish, const struct arena *texts,
                              int64_t delay_ms)
{
    struct warren_bytes exchange = arena_bytes(texts, publish->exchange ? publish->exchange : "");
    struct warren_bytes key = arena_bytes(texts, publish->routing_key ? publish->routing_key : "");

    if (!publish->message)
        return "there is no message";
    if (publish->message->body.len > 0 && !publish->message->body.data)
        return "the body has a length, and no data";
    if (exchange.len > SHORTSTR_MAX)
        return "the exchange's name is longer than 255 bytes";
    if (key.len > SHORTSTR_MAX)
        return "the routing key is longer than 255 bytes";
    return delay_ms > 0 ? delay_refusal(publish, exchange, key) : NULL;
}

bool publish_explain(const struct warren_publish *publish, const struct arena *texts,
                     int64_t delay_ms, struct warren_error *error)
{
    const char *refusal = refusal_of(publish, texts, delay_ms);
    enum warren_status status;
    struct arena arena;
    struct buffer out;

    if (refusal) {
        error_set(error, WARREN_EINVAL, "%s", refusal);
        return true;
    }
    arena_init(&arena);
    buffer_init(&out, RECORD_FRAME_MAX);
    status = properties_encode(&publish->message->properties, texts,
                               record_properties_max(RECORD_FRAME_MAX), &arena, &out, error);
    buffer_done(&out);
    arena_done(&arena);
    return status != WARREN_OK;
}
