#include <stdlib.h>
#include <string.h>

#include "amqp/connection/channel_private.h"

#define FIRST_COUNT 16

void channel_numbers_reset(struct channel_numbers *n, uint16_t max)
{
    n->max = max;
    n->last = 0;
    n->drain_count = 0;
    n->count = n->capacity < (uint32_t)max + 1 ? n->capacity : (uint32_t)max + 1;
    if (n->slots)
        memset(n->slots, 0, n->capacity * sizeof *n->slots);
}

void channel_numbers_done(struct channel_numbers *n)
{
    free(n->slots);
    *n = (struct channel_numbers){0};
}

static bool grow(struct channel_numbers *n)
{
    uint32_t count = n->count ? n->count * 2 : FIRST_COUNT;
    struct channel_slot *slots;

    if (count > (uint32_t)n->max + 1)
        count = (uint32_t)n->max + 1;
    if (count <= n->count)
        return false;
    if (count > n->capacity) {
        slots = realloc(n->slots, count * sizeof *slots);
        if (!slots)
            return false;
        memset(slots + n->capacity, 0, (count - n->capacity) * sizeof *slots);
        n->slots = slots;
        n->capacity = count;
    }
    n->count = count;
    return true;
}

/* @closed_too  also one that the broker closed */
static uint16_t find_free(struct channel_numbers *n, bool closed_too)
{
    for (uint32_t tried = 1; tried < n->count; tried++) {
        const struct channel_slot *slot;

        n->last = (uint16_t)(n->last % (n->count - 1) + 1);
        slot = &n->slots[n->last];
        if (!slot->channel && !slot->draining && (closed_too || !slot->closed))
            return n->last;
    }
    return 0;
}

uint16_t channel_numbers_take(struct channel_numbers *n, struct channel *channel)
{
    uint16_t number;

    do
        number = find_free(n, false);
    while (number == 0 && grow(n));
    if (number == 0)
        number = find_free(n, true);
    if (number != 0)
        n->slots[number] = (struct channel_slot){.channel = channel};
    return number;
}

bool channel_numbers_full(const struct channel_numbers *n)
{
    return n->count == (uint32_t)n->max + 1;
}

void channel_numbers_release(struct channel_numbers *n, uint16_t number)
{
    if (number >= n->count)
        return;
    n->drain_count -= n->slots[number].draining;
    n->slots[number] = (struct channel_slot){.closed = n->slots[number].closed};
}

void channel_numbers_close(struct channel_numbers *n, uint16_t number)
{
    if (number < n->count)
        n->slots[number].closed = true;
    channel_numbers_release(n, number);
}

void channel_numbers_drain(struct channel_numbers *n, uint16_t number)
{
    if (number >= n->count)
        return;
    n->drain_count += !n->slots[number].draining;
    n->slots[number] = (struct channel_slot){.draining = true};
}

struct channel_slot channel_numbers_slot(const struct channel_numbers *n, uint16_t number)
{
    return number < n->count ? n->slots[number] : (struct channel_slot){0};
}

void channel_numbers_answered(struct channel_numbers *n, uint16_t number)
{
    if (number < n->count)
        n->slots[number].closed = true;
}
