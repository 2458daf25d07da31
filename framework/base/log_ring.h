/* log_ring.h - finished log lines on their way to the writer thread, in a ring (ring.h).
 * Elsewhere: what a line looks like (log.h), who writes it (log_writer.c).
 */
#ifndef WARREN_BASE_LOG_RING_H
#define WARREN_BASE_LOG_RING_H

#include <stdbool.h>

#include "base/log.h"
#include "base/ring.h"

/** Lines that can wait; a power of two. With the longest lines this is 2 MiB. */
#define LOG_RING_SLOTS 1024

struct log_slot {
    uint32_t len;
    enum warren_log_level level;
    char text[LOG_LINE_MAX];
};

static inline enum warren_status log_ring_init(struct ring *ring)
{
    return ring_init(ring, sizeof(struct log_slot), LOG_RING_SLOTS);
}

/** Copy a line in; false if the ring is full. Thread: any. */
bool log_ring_push(struct ring *ring, enum warren_log_level level, const char *text, uint32_t len);

#endif
