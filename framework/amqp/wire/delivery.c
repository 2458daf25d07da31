/* delivery.c - see delivery.h. */
#include "amqp/wire/delivery.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *put(uint8_t *at, struct warren_bytes bytes)
{
    if (bytes.len)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

struct delivery *delivery_new(size_t room, struct warren_bytes exchange,
                              struct warren_bytes routing_key, struct warren_bytes properties,
                              size_t body_len)
{
    size_t size = room + sizeof(struct delivery);
    struct delivery *delivery;
    uint8_t *memory;
    uint8_t *at;

    assert(room % alignof(struct delivery) == 0);
    if (exchange.len > UINT32_MAX || routing_key.len > UINT32_MAX || properties.len > UINT32_MAX)
        return NULL;
    size += exchange.len + 1 + routing_key.len + 1 + properties.len;
    if (body_len > PTRDIFF_MAX - size)
        return NULL;
    memory = malloc(size + body_len);
    if (!memory)
        return NULL;

    memset(memory, 0, room);
    delivery = (struct delivery *)(void *)(memory + room);
    *delivery = (struct delivery){.room = (uint32_t)room,
                                  .exchange_len = (uint32_t)exchange.len,
                                  .routing_key_len = (uint32_t)routing_key.len,
                                  .properties_len = (uint32_t)properties.len,
                                  .body_len = body_len};
    at = put(delivery->data, exchange);
    *at++ = '\0';
    at = put(at, routing_key);
    *at++ = '\0';
    put(at, properties);
    return delivery;
}

void delivery_free(struct delivery *delivery)
{
    if (delivery)
        free((uint8_t *)delivery - delivery->room);
}
