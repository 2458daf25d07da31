/* fed_ring.c - see fed_ring.h. */
#include "publish/spool/fed_ring.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024

static struct spool_fed *at(const struct fed_ring *ring, size_t index)
{
    return &ring->items[(ring->first + index) & (ring->capacity - 1)];
}

static bool grow(struct fed_ring *ring)
{
    size_t capacity = ring->capacity > 0 ? ring->capacity * 2 : CAPACITY_MIN;
    struct spool_fed *items = malloc(capacity * sizeof *items);

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

bool fed_ring_reserve(struct fed_ring *ring)
{
    return ring->count < ring->capacity || grow(ring);
}

void fed_ring_push(struct fed_ring *ring, int64_t id, int64_t bytes)
{
    ring->count++;
    *at(ring, ring->count - 1) = (struct spool_fed){.id = id, .bytes = bytes};
}

void fed_ring_unpush(struct fed_ring *ring)
{
    ring->count--;
}

struct spool_fed *fed_ring_find(const struct fed_ring *ring, int64_t id)
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

int64_t fed_ring_first(const struct fed_ring *ring, int64_t none)
{
    return ring->count > 0 ? at(ring, 0)->id : none;
}

void fed_ring_drop_done(struct fed_ring *ring)
{
    while (ring->count > 0 && at(ring, 0)->done) {
        ring->first = (ring->first + 1) & (ring->capacity - 1);
        ring->count--;
    }
}

void fed_ring_clear(struct fed_ring *ring)
{
    ring->count = 0;
}

void fed_ring_done(struct fed_ring *ring)
{
    free(ring->items);
    *ring = (struct fed_ring){0};
}
