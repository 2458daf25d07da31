/* identity.c - see identity.h. */
#include "consume/crash/identity.h"

#include <string.h>

#include <xxhash.h>

#include "amqp/wire/property_spans.h"

uint64_t identity_hash(const void *bytes, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, len, seed);
}

/* With its length, so that no part can run over into the next. */
static uint64_t add(uint64_t seed, struct warren_bytes part)
{
    return identity_hash(part.data, part.len, seed + part.len);
}

static XXH128_hash_t fingerprint(const struct delivery *delivery,
                                 const struct property_spans *spans, uint64_t seed)
{
    const struct warren_bytes properties = delivery_properties(delivery);
    const uint8_t *body = (const uint8_t *)properties.data + properties.len;

    seed = add(~seed, delivery_exchange_bytes(delivery)); /* where an id begins otherwise */
    seed = add(seed, delivery_routing_key_bytes(delivery));
    seed = add(seed, spans->before_headers);
    seed = add(seed, spans->after_headers);
    return XXH3_128bits_withSeed(body, delivery->body_len, seed);
}

struct identity identity_of(const struct delivery *delivery, uint64_t seed,
                            struct warren_bytes *ret_message_id)
{
    struct property_spans spans;
    XXH128_hash_t hash;

    property_spans_find(delivery_properties(delivery), &spans);
    *ret_message_id = spans.message_id;
    if (spans.message_id.len > 0)
        hash = XXH3_128bits_withSeed(spans.message_id.data, spans.message_id.len, seed);
    else
        hash = fingerprint(delivery, &spans, seed);
    return (struct identity){hash.low64, hash.high64 ? hash.high64 : 1};
}
