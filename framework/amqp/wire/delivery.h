/* delivery.h - one delivered message as it came from the wire, in one flat piece of memory: lengths
 * in place of pointers, so that it can be copied as it is, also into memory that another process
 * has; and not decoded until somebody asks. Its owner may have room of his own in front of it.
 * Owner: one at a time.
 * Elsewhere: what becomes of it (consume/attempt/attempt.h).
 */
#ifndef WARREN_AMQP_DELIVERY_H
#define WARREN_AMQP_DELIVERY_H

#include <warren/handler.h>

struct delivery {
    uint64_t tag;
    uint64_t offset; /* in its stream; else of no meaning */
    size_t body_len;
    uint32_t generation; /* of the channel that brought it; a later channel knows no such tag */
    uint32_t exchange_len;
    uint32_t routing_key_len;
    uint32_t properties_len;
    uint32_t room; /* bytes in front of it that are the owner's, in the same piece of memory */
    bool redelivered;
    uint8_t data[]; /* exchange NUL, routing key NUL, property list, body */
};

/**
 * One allocation of this shape; the body is left to be filled in. NULL: no memory.
 *
 * @room  bytes to leave in front of it, zeroed: a multiple of 8
 */
struct delivery *delivery_new(size_t room, struct warren_bytes exchange,
                              struct warren_bytes routing_key, struct warren_bytes properties,
                              size_t body_len);
/** With the room in front of it. NULL is fine. */
void delivery_free(struct delivery *delivery);

static inline const char *delivery_exchange(const struct delivery *delivery)
{
    return (const char *)delivery->data;
}

static inline const char *delivery_routing_key(const struct delivery *delivery)
{
    return (const char *)delivery->data + delivery->exchange_len + 1;
}

/* As C strings these two end at their first NUL; here are their lengths. */

static inline struct warren_bytes delivery_exchange_bytes(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery_exchange(delivery), delivery->exchange_len};
    return bytes;
}

static inline struct warren_bytes delivery_routing_key_bytes(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery_routing_key(delivery), delivery->routing_key_len};
    return bytes;
}

static inline struct warren_bytes delivery_properties(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery_routing_key(delivery) + delivery->routing_key_len + 1,
                                 delivery->properties_len};
    return bytes;
}

static inline uint8_t *delivery_body(struct delivery *delivery)
{
    return delivery->data + delivery->exchange_len + 1 + delivery->routing_key_len + 1 +
           delivery->properties_len;
}

/** Bytes that it holds, with the room in front of it, for the bounds by bytes. */
static inline size_t delivery_size(const struct delivery *delivery)
{
    return delivery->room + sizeof *delivery + delivery->exchange_len + delivery->routing_key_len +
           2 + delivery->properties_len + delivery->body_len;
}

#endif
