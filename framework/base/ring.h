/* ring.h - items of one size on their way to a reader: a bounded ring that many threads fill and
 * one empties, without a lock.
 * Source: Dmitry Vyukov, "Bounded MPMC queue", 1024cores.net; here with turns instead of sequence
 * numbers, so that a zeroed ring is an empty one and a slot that was never used costs no memory.
 * Elsewhere: lines of the log (log_ring.h), spans (span.h).
 */
#ifndef WARREN_BASE_RING_H
#define WARREN_BASE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

struct ring {
    uint8_t *slots;
    size_t stride;         /* bytes of a slot: its turn, its item */
    uint64_t count;        /* of slots */
    _Atomic uint64_t tail; /* next position to fill */
    _Atomic uint64_t head; /* next position to empty; the reader writes it */
};

/**
 * Maps the slots; the pages come when they are first written.
 *
 * @size   bytes of an item; items are aligned to 8 bytes
 * @count  of items that can wait; a power of two
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status ring_init(struct ring *ring, size_t size, uint64_t count);
/** A zeroed ring is fine. */
void ring_done(struct ring *ring);

/**
 * A slot to be written, and then given to ring_fill(). It holds up the reader until then, so write
 * it at once. What it holds is what was in it before, or zero.
 *
 * @ret_position  the how many-th item this is, from 0
 * @return        NULL: the ring is full
 * Thread: any.
 */
void *ring_claim(struct ring *ring, uint64_t *ret_position);
/** @item is written. Thread: who has claimed it. */
void ring_fill(void *item);

/** How many are there, about. Thread: any. */
uint64_t ring_count(const struct ring *ring);

/** The oldest item, or NULL. Thread: the reader, as below. */
void *ring_peek(struct ring *ring);
/** Free the item that was peeked. */
void ring_pop(struct ring *ring);

#endif
