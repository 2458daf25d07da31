/* delay.c - see delay.h. */
#include "consume/attempt/delay.h"

#include <assert.h>
#include <stdlib.h>

enum warren_status delay_init(struct delay *delay, uint32_t capacity)
{
    *delay = (struct delay){.capacity = capacity};
    delay->heap = calloc((size_t)capacity + 1, sizeof(struct attempt *));
    return delay->heap ? WARREN_OK : WARREN_ENOMEM;
}

enum warren_status delay_reserve(struct delay *delay, uint32_t capacity)
{
    struct attempt **heap;

    if (capacity <= delay->capacity)
        return WARREN_OK;
    heap = realloc(delay->heap, ((size_t)capacity + 1) * sizeof(struct attempt *));
    if (!heap)
        return WARREN_ENOMEM;
    delay->heap = heap;
    delay->capacity = capacity;
    return WARREN_OK;
}

void delay_done(struct delay *delay)
{
    assert(delay->count == 0);
    free(delay->heap);
    delay->heap = NULL;
}

static bool earlier(const struct attempt *a, const struct attempt *b)
{
    if (a->retry_at_ms != b->retry_at_ms)
        return a->retry_at_ms < b->retry_at_ms;
    return a->delivery.tag < b->delivery.tag;
}

bool delay_put(struct delay *delay, struct attempt *attempt)
{
    uint32_t at = delay->count;

    if (delay->count == delay->capacity)
        return false;
    delay->count++;
    while (at > 0 && earlier(attempt, delay->heap[(at - 1) / 2])) {
        delay->heap[at] = delay->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    delay->heap[at] = attempt;
    return true;
}

int64_t delay_next_ms(const struct delay *delay)
{
    return delay->count > 0 ? delay->heap[0]->retry_at_ms : INT64_MAX;
}

static struct attempt *pop(struct delay *delay)
{
    struct attempt *top = delay->heap[0];
    struct attempt *last = delay->heap[--delay->count];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < delay->count && earlier(delay->heap[child + 1], delay->heap[child]))
            child++;
        if (child >= delay->count || !earlier(delay->heap[child], last))
            break;
        delay->heap[at] = delay->heap[child];
        at = child;
    }
    delay->heap[at] = last;
    return top;
}

struct attempt *delay_pop(struct delay *delay, int64_t now_ms)
{
    return delay->count > 0 && delay->heap[0]->retry_at_ms <= now_ms ? pop(delay) : NULL;
}

void delay_take(struct delay *delay, int64_t now_ms, struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = delay_pop(delay, now_ms)))
        batch_add(batch, attempt);
}
