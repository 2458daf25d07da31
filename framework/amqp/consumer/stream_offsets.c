/* stream_offsets.c - see stream_offsets.h. */
#include "amqp/consumer/stream_offsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CAPACITY_MIN 64

#define CLOCKS_APART_S 60

static bool is_text(const struct warren_value *value, const char *text)
{
    return value->type == WARREN_STRING && value->as.bytes.len == strlen(text) &&
           memcmp(value->as.bytes.data, text, value->as.bytes.len) == 0;
}

stream_begin stream_begin_later(const struct warren_table *arguments)
{
    const struct warren_value *first =
        arguments ? warren_table_get(arguments, STREAM_OFFSET) : NULL;

    if (first && !is_text(first, "next") && !is_text(first, "last"))
        return STREAM_AS_CONFIGURED;
    return -(clock_wall_ms() / 1000 - CLOCKS_APART_S);
}

static void set_begin(struct stream_offsets *offsets, stream_begin begin)
{
    atomic_store_explicit(&offsets->begin, begin, memory_order_relaxed);
}

/* Something has come: the lowest that is open, or the one above all. */
static void follow(struct stream_offsets *offsets)
{
    set_begin(offsets, (stream_begin)(offsets->first < offsets->end ? offsets->open[offsets->first]
                                                                    : offsets->next));
}

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return (*a > *b) - (*a < *b);
}

/* @return NULL: it is not open */
static uint64_t *find(const struct stream_offsets *offsets, uint64_t offset)
{
    if (offsets->first == offsets->end)
        return NULL;
    return bsearch(&offset, offsets->open + offsets->first, offsets->end - offsets->first,
                   sizeof offset, compare);
}

static enum warren_status make_room(struct stream_offsets *offsets)
{
    uint32_t count = offsets->end - offsets->first;
    uint64_t *grown;

    /* Half of it or nothing, so that the cost for each message stays constant. */
    if (offsets->first > 0 && offsets->first >= offsets->capacity / 2) {
        memmove(offsets->open, offsets->open + offsets->first, count * sizeof *offsets->open);
        offsets->first = 0;
        offsets->end = count;
        return WARREN_OK;
    }
    grown = realloc(offsets->open, (2 * (size_t)offsets->capacity + CAPACITY_MIN) * sizeof *grown);
    if (!grown)
        return WARREN_ENOMEM;
    offsets->open = grown;
    offsets->capacity = 2 * offsets->capacity + CAPACITY_MIN;
    return WARREN_OK;
}

void stream_offsets_init(struct stream_offsets *offsets, stream_begin begin)
{
    *offsets = (struct stream_offsets){.next = begin >= 0 ? (uint64_t)begin : 0, .cursor = begin};
    set_begin(offsets, begin);
}

void stream_offsets_done(struct stream_offsets *offsets)
{
    free(offsets->open);
    offsets->open = NULL;
}

void stream_offsets_begun(struct stream_offsets *offsets, stream_begin later)
{
    offsets->cursor = later;
    set_begin(offsets, later);
}

void stream_offsets_restart(struct stream_offsets *offsets)
{
    offsets->cursor = stream_offsets_begin(offsets);
}

enum warren_status stream_offsets_came(struct stream_offsets *offsets, uint64_t offset,
                                       bool *ret_settled)
{
    enum warren_status status;

    *ret_settled = false;
    offsets->cursor = (stream_begin)(offset + 1);
    if (offset < offsets->next) {
        *ret_settled = !find(offsets, offset);
        return WARREN_OK;
    }
    if (offsets->end == offsets->capacity && (status = make_room(offsets)) != WARREN_OK)
        return status;
    offsets->open[offsets->end++] = offset;
    offsets->next = offset + 1;
    follow(offsets);
    return WARREN_OK;
}

void stream_offsets_settled(struct stream_offsets *offsets, uint64_t offset)
{
    uint64_t *place = find(offsets, offset);

    if (!place)
        return;
    /* Messages settle about in the order in which they came: what is below is the shorter part. */
    memmove(offsets->open + offsets->first + 1, offsets->open + offsets->first,
            (size_t)((char *)place - (char *)(offsets->open + offsets->first)));
    offsets->first++;
    follow(offsets);
}
