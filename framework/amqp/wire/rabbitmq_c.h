/* rabbitmq_c.h - the one place that includes rabbitmq-c, old layout (0.11) or new (0.13 and later).
 * warren uses its codec half alone: amqp_encode_*, amqp_decode_*, pools, constants. No socket of
 * rabbitmq-c is ever opened (docs/architecture.md says why).
 */
#ifndef WARREN_AMQP_RABBITMQ_C_H
#define WARREN_AMQP_RABBITMQ_C_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#include <string.h>

/** Bytes of a short string, such as a name: AMQP 0-9-1, section 4.2.5.3. */
#define WIRE_SHORT_MAX 255
/** Room for it and a NUL. */
#define WIRE_SHORT_TEXT 256

/** As much of @bytes as fits into @size bytes at @text, with a NUL behind it. */
static inline void wire_text(amqp_bytes_t bytes, char *text, size_t size)
{
    size_t len = bytes.len < size ? bytes.len : size - 1;

    if (len > 0)
        memcpy(text, bytes.bytes, len);
    text[len] = '\0';
}

#endif
