/* buffer.h - a byte buffer: bytes are appended at the end and taken from the front.
 * Grows by doubling up to a bound; what was taken is reclaimed by moving the rest down.
 * Thread: none of its own.
 */
#ifndef WARREN_BASE_BUFFER_H
#define WARREN_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

struct buffer {
    uint8_t *data;
    size_t begin;    /* first byte that was not taken */
    size_t end;      /* one past the last byte */
    size_t capacity; /* bytes allocated */
    size_t max;      /* capacity never grows above this */
};

/** An empty buffer that allocates nothing yet. */
void buffer_init(struct buffer *buffer, size_t max);
/** Frees the bytes; a zeroed buffer is fine. */
void buffer_done(struct buffer *buffer);

/** Make room for @len more bytes behind the end: WARREN_OK, WARREN_EFULL or WARREN_ENOMEM. */
enum warren_status buffer_reserve(struct buffer *buffer, size_t len);

static inline size_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->begin;
}

static inline uint8_t *buffer_front(const struct buffer *buffer)
{
    return buffer->data + buffer->begin;
}

/** Where the next byte goes; valid for as many bytes as were reserved. */
static inline uint8_t *buffer_back(const struct buffer *buffer)
{
    return buffer->data + buffer->end;
}

static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->capacity - buffer->end;
}

/** Say that @len bytes were written at buffer_back(). */
static inline void buffer_added(struct buffer *buffer, size_t len)
{
    buffer->end += len;
}

/** Take @len bytes from the front. */
static inline void buffer_taken(struct buffer *buffer, size_t len)
{
    buffer->begin += len;
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
}

/** Reserve and copy. */
enum warren_status buffer_append(struct buffer *buffer, const void *data, size_t len);

#endif
