#include "consume/job/roster.h"

#include <stdlib.h>
#include <string.h>

bool roster_reserve(struct roster *roster, uint32_t capacity)
{
    void **before = atomic_load_explicit(&roster->items, memory_order_relaxed);
    uint32_t room = capacity > 2 * roster->capacity ? capacity : 2 * roster->capacity;
    void **items;

    if (capacity <= roster->capacity)
        return true;
    if (roster->array_count == ROSTER_ARRAYS || !(items = calloc(room, sizeof *items)))
        return false;
    if (before)
        memcpy(items, before, roster->capacity * sizeof *items);
    roster->arrays[roster->array_count++] = items;
    roster->capacity = room;
    atomic_store_explicit(&roster->items, items, memory_order_release);
    return true;
}

void roster_put(struct roster *roster, uint32_t index, void *item)
{
    atomic_load_explicit(&roster->items, memory_order_relaxed)[index] = item;
}

void roster_done(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->array_count; i++)
        free(roster->arrays[i]);
    *roster = (struct roster){.capacity = 0};
}
