/* wire.h - AMQP's numbers in bytes: big-endian, at any alignment.
 * Elsewhere: frames (frame.h), property lists (content.c); rabbitmq-c does the methods.
 */
#ifndef WARREN_AMQP_WIRE_H
#define WARREN_AMQP_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wire_get_u16(const uint8_t *at)
{
    uint16_t number;

    memcpy(&number, at, sizeof number);
    return be16toh(number);
}

static inline uint32_t wire_get_u32(const uint8_t *at)
{
    uint32_t number;

    memcpy(&number, at, sizeof number);
    return be32toh(number);
}

static inline uint64_t wire_get_u64(const uint8_t *at)
{
    uint64_t number;

    memcpy(&number, at, sizeof number);
    return be64toh(number);
}

/** One of @size bytes, 8 at most. */
static inline int64_t wire_get_integer(const uint8_t *at, size_t size, bool is_signed)
{
    uint64_t bits = is_signed && (at[0] & 0x80) ? UINT64_MAX : 0;

    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | at[i];
    return (int64_t)bits;
}

static inline void wire_put_u16(uint8_t *at, uint16_t number)
{
    number = htobe16(number);
    memcpy(at, &number, sizeof number);
}

static inline void wire_put_u32(uint8_t *at, uint32_t number)
{
    number = htobe32(number);
    memcpy(at, &number, sizeof number);
}

#endif
