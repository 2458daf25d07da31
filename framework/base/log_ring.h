/* log_ring.h - finished log lines on their way to the writer thread: a bounded ring that many
 * threads fill and one empties, without a lock.
 * Source: Dmitry Vyukov, "Bounded MPMC queue", 1024cores.net; here with turns instead of sequence
 * numbers, so that a zeroed ring is an empty one and a slot that was never used costs no memory.
 * Elsewhere: what a line looks like (log.h), who writes it (log_writer.c).
 */
#ifndef WARREN_BASE_LOG_RING_H
#define WARREN_BASE_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

#include "base/log.h"

/** Lines that can wait; a power of two. With the longest lines this is 2 MiB. */
#define LOG_RING_SLOTS 1024

struct log_slot {
    _Atomic uint64_t turn; /* 2 * lap: free in that lap; 2 * lap + 1: filled in that lap */
    uint32_t len;
    enum warren_log_level level;
    char text[LOG_LINE_MAX];
};

struct log_ring {
    struct log_slot *slots;
    _Atomic uint64_t tail; /* next position to fill */
    uint64_t head;         /* next position to empty; the reader's alone */
};

/** Maps the slots; the pages come when they are first written. */
enum warren_status log_ring_init(struct log_ring *ring);
/** A zeroed ring is fine. */
void log_ring_done(struct log_ring *ring);
/** Copy a line in; false if the ring is full. Thread: any. */
bool log_ring_push(struct log_ring *ring, enum warren_log_level level, const char *text,
                   uint32_t len);
/** The oldest line, or NULL. Thread: the reader. */
const struct log_slot *log_ring_peek(struct log_ring *ring);
/** Free the line that was peeked. Thread: the reader. */
void log_ring_pop(struct log_ring *ring);

#endif
