/* log_ring.c - a slot is handed back and forth by its turn. */
#include "base/log_ring.h"

#include <string.h>
#include <sys/mman.h>

static struct log_slot *slot_at(const struct log_ring *ring, uint64_t position)
{
    return &ring->slots[position % LOG_RING_SLOTS];
}

static uint64_t free_turn(uint64_t position)
{
    return position / LOG_RING_SLOTS * 2;
}

enum warren_status log_ring_init(struct log_ring *ring)
{
    void *slots = mmap(NULL, LOG_RING_SLOTS * sizeof(struct log_slot), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (slots == MAP_FAILED)
        return WARREN_ENOMEM;
    ring->slots = slots;
    ring->head = 0;
    atomic_store(&ring->tail, 0);
    return WARREN_OK;
}

void log_ring_done(struct log_ring *ring)
{
    if (!ring || !ring->slots)
        return;
    munmap(ring->slots, LOG_RING_SLOTS * sizeof(struct log_slot));
    ring->slots = NULL;
}

bool log_ring_push(struct log_ring *ring, enum warren_log_level level, const char *text,
                   uint32_t len)
{
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    struct log_slot *slot;

    for (;;) {
        uint64_t turn;

        slot = slot_at(ring, position);
        turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn < free_turn(position))
            return false; /* still filled from the lap before */
        if (turn > free_turn(position))
            position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            break;
    }
    memcpy(slot->text, text, len);
    slot->len = len;
    slot->level = level;
    /* Sequentially consistent: the writer says that it sleeps and then looks here once more, while
     * we fill and then look whether it sleeps; one of both must see the other. */
    atomic_store(&slot->turn, free_turn(position) + 1);
    return true;
}

const struct log_slot *log_ring_peek(struct log_ring *ring)
{
    struct log_slot *slot = slot_at(ring, ring->head);

    return atomic_load(&slot->turn) == free_turn(ring->head) + 1 ? slot : NULL;
}

void log_ring_pop(struct log_ring *ring)
{
    struct log_slot *slot = slot_at(ring, ring->head);

    atomic_store_explicit(&slot->turn, free_turn(ring->head) + 2, memory_order_release);
    ring->head++;
}
