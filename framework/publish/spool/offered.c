/* offered.c - see offered.h. */
#include "publish/spool/offered.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024

static struct offered_message *at(const struct offered *ring, size_t index)
{
    return &ring->items[(ring->first + index) & (ring->capacity - 1)];
}

static bool grow(struct offered *ring)
{
    size_t capacity = ring->capacity > 0 ? ring->capacity * 2 : CAPACITY_MIN;
    struct offered_message *items = malloc(capacity * sizeof *items);

    if (!items)
        return false;
    for (size_t i = 0; i < ring->count; i++)
        items[i] = *at(ring, i);
    free(ring->items);
    ring->items = items;
    ring->capacity = capacity;
    ring->first = 0;
    return true;
}

bool offered_reserve(struct offered *ring)
{
    return ring->count < ring->capacity || grow(ring);
}

void offered_push(struct offered *ring, int64_t id, int64_t bytes)
{
    ring->count++;
    *at(ring, ring->count - 1) = (struct offered_message){.id = id, .bytes = bytes};
}

void offered_unpush(struct offered *ring)
{
    ring->count--;
}

struct offered_message *offered_find(const struct offered *ring, int64_t id)
{
    size_t low = 0;
    size_t high = ring->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (at(ring, middle)->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ring->count && at(ring, low)->id == id ? at(ring, low) : NULL;
}

int64_t offered_first(const struct offered *ring, int64_t none)
{
    return ring->count > 0 ? at(ring, 0)->id : none;
}

void offered_drop_done(struct offered *ring)
{
    while (ring->count > 0 && at(ring, 0)->done) {
        ring->first = (ring->first + 1) & (ring->capacity - 1);
        ring->count--;
    }
}

void offered_clear(struct offered *ring)
{
    ring->count = 0;
}

void offered_done(struct offered *ring)
{
    free(ring->items);
    *ring = (struct offered){0};
}
