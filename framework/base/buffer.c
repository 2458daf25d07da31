/* buffer.c - growing and reclaiming. */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

/** Small enough for a connection that idles, large enough for a few frames. */
#define BUFFER_CAPACITY_MIN 512

void buffer_init(struct buffer *buffer, size_t max)
{
    *buffer = (struct buffer){.max = max};
}

void buffer_done(struct buffer *buffer)
{
    if (!buffer)
        return;
    free(buffer->data);
    *buffer = (struct buffer){.max = buffer->max};
}

static void move_down(struct buffer *buffer)
{
    size_t live = buffer_len(buffer);

    memmove(buffer->data, buffer->data + buffer->begin, live);
    buffer->begin = 0;
    buffer->end = live;
}

/** Doubling; the bound and the need win. @need is at most buffer->max. */
static size_t next_capacity(const struct buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_CAPACITY_MIN;

    while (capacity < need) {
        if (capacity > buffer->max / 2)
            return buffer->max;
        capacity *= 2;
    }
    if (capacity == buffer->capacity && capacity <= buffer->max / 2)
        capacity *= 2;
    return capacity < buffer->max ? capacity : buffer->max;
}

static enum warren_status grow(struct buffer *buffer, size_t need)
{
    size_t capacity = next_capacity(buffer, need);
    size_t live = buffer_len(buffer);
    uint8_t *data = malloc(capacity);

    if (!data)
        return WARREN_ENOMEM;
    if (live > 0)
        memcpy(data, buffer->data + buffer->begin, live);
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->begin = 0;
    buffer->end = live;
    return WARREN_OK;
}

enum warren_status buffer_reserve(struct buffer *buffer, size_t len)
{
    size_t live = buffer_len(buffer);

    if (len <= buffer_room(buffer))
        return WARREN_OK;
    if (live > buffer->max || len > buffer->max - live)
        return WARREN_EFULL;
    /* Moving no more bytes than were taken keeps the cost of a byte constant; only a buffer that
     * may not grow any more moves earlier. */
    if (live + len <= buffer->capacity &&
        (buffer->begin >= live || buffer->capacity == buffer->max)) {
        move_down(buffer);
        return WARREN_OK;
    }
    return grow(buffer, live + len);
}

enum warren_status buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    enum warren_status status;

    if (len == 0)
        return WARREN_OK;
    status = buffer_reserve(buffer, len);
    if (status != WARREN_OK)
        return status;
    memcpy(buffer_back(buffer), data, len);
    buffer_added(buffer, len);
    return WARREN_OK;
}
