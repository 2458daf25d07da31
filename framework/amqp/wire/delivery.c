/* delivery.c - see delivery.h. */
#include "amqp/wire/delivery.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static uint8_t *put(uint8_t *at, struct warren_bytes bytes)
{
    if (bytes.len)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

struct delivery *delivery_new(struct warren_bytes exchange, struct warren_bytes routing_key,
                              struct warren_bytes properties, size_t body_len)
{
    size_t size = offsetof(struct delivery, data);
    struct delivery *delivery;
    uint8_t *at;

    if (exchange.len > UINT32_MAX || routing_key.len > UINT32_MAX || properties.len > UINT32_MAX)
        return NULL;
    size += exchange.len + 1 + routing_key.len + 1 + properties.len;
    if (body_len > PTRDIFF_MAX - size)
        return NULL;
    size += body_len;
    /* a short one must still hold the padding that sizeof counts */
    delivery = malloc(size > sizeof *delivery ? size : sizeof *delivery);
    if (!delivery)
        return NULL;

    memset(delivery, 0, offsetof(struct delivery, data));
    atomic_init(&delivery->holds, 0);
    delivery->exchange_len = (uint32_t)exchange.len;
    delivery->routing_key_len = (uint32_t)routing_key.len;
    delivery->properties_len = (uint32_t)properties.len;
    delivery->body_len = body_len;
    at = put(delivery->data, exchange);
    *at++ = '\0';
    at = put(at, routing_key);
    *at++ = '\0';
    put(at, properties);
    return delivery;
}

void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    free(delivery->unpublished);
    free(delivery->owed);
    free(delivery);
}

void delivery_count_failure(struct delivery *delivery)
{
    delivery->failed++;
    if (delivery->first_failure_s == 0)
        delivery->first_failure_s = clock_wall_ms() / 1000;
}
