/* log_ring.c - see log_ring.h. */
#include "base/log_ring.h"

#include <string.h>

bool log_ring_push(struct ring *ring, enum warren_log_level level, const char *text, uint32_t len)
{
    uint64_t position;
    struct log_slot *slot = ring_claim(ring, &position);

    if (!slot)
        return false;
    memcpy(slot->text, text, len);
    slot->len = len;
    slot->level = level;
    ring_fill(slot);
    return true;
}
