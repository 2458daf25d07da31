/* ring.c - a slot is handed back and forth by its turn. */
#include "base/ring.h"

#include <sys/mman.h>

/* In front of each item. 2 * lap: free in that lap; 2 * lap + 1: filled in that lap. */
struct slot {
    _Atomic uint64_t turn;
    uint8_t item[];
};

static struct slot *slot_at(const struct ring *ring, uint64_t position)
{
    return (struct slot *)(void *)(ring->slots + (position & (ring->count - 1)) * ring->stride);
}

static struct slot *slot_of(void *item)
{
    return (struct slot *)(void *)((uint8_t *)item - offsetof(struct slot, item));
}

static uint64_t free_turn(const struct ring *ring, uint64_t position)
{
    return position / ring->count * 2;
}

enum warren_status ring_init(struct ring *ring, size_t size, uint64_t count)
{
    size_t stride = (sizeof(struct slot) + size + 7) & ~(size_t)7;
    void *slots =
        mmap(NULL, count * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (slots == MAP_FAILED)
        return WARREN_ENOMEM;
    ring->slots = slots;
    ring->stride = stride;
    ring->count = count;
    atomic_store(&ring->head, 0);
    atomic_store(&ring->tail, 0);
    return WARREN_OK;
}

void ring_done(struct ring *ring)
{
    if (!ring || !ring->slots)
        return;
    munmap(ring->slots, ring->count * ring->stride);
    ring->slots = NULL;
}

void *ring_claim(struct ring *ring, uint64_t *ret_position)
{
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    struct slot *slot;

    for (;;) {
        uint64_t turn;

        slot = slot_at(ring, position);
        turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn < free_turn(ring, position))
            return NULL; /* still filled from the lap before */
        if (turn > free_turn(ring, position))
            position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            break;
    }
    *ret_position = position;
    return slot->item;
}

void ring_fill(void *item)
{
    struct slot *slot = slot_of(item);

    /* Sequentially consistent: the log's writer says that it sleeps and then looks here once more,
     * while we fill and then look whether it sleeps; one of both must see the other. Nobody else
     * writes the turn meanwhile. */
    atomic_store(&slot->turn, atomic_load_explicit(&slot->turn, memory_order_relaxed) + 1);
}

/* The head first: it is never beyond a tail that is read later. */
uint64_t ring_count(const struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t count = tail - head;

    return count < ring->count ? count : ring->count;
}

void *ring_peek(struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    struct slot *slot = slot_at(ring, head);

    return atomic_load(&slot->turn) == free_turn(ring, head) + 1 ? slot->item : NULL;
}

void ring_pop(struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    struct slot *slot = slot_at(ring, head);

    atomic_store_explicit(&slot->turn, free_turn(ring, head) + 2, memory_order_release);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}
