/* history.h - what the headers of a message tell of its way so far: warren's own notes, and the
 * broker's count of deliveries in vain.
 * Thread: any. Elsewhere: who writes the notes (envelope.h).
 */
#ifndef WARREN_CONSUME_HISTORY_H
#define WARREN_CONSUME_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include <warren/message.h>

#include "base/arena.h"

struct history {
    uint32_t failed;          /* attempts before this delivery */
    uint64_t first_failure_s; /* since 1970; 0: none is known */
    const char *exchange;     /* where it was published first; NULL: where it came from now.
                                 arena_bytes() tells the length, here and of the next */
    const char *routing_key;  /* NULL as above */
};

/** What of a delivery it depends on, besides the properties. */
struct history_of {
    const char *queue;  /* notes about another queue do not count */
    bool redelivered;   /* basic.deliver */
    bool broker_counts; /* the broker's count is a second source: x-delivery-count, or else one more
                           for a redelivered message */
};

/**
 * @arena  where the texts go, and those of @properties are
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status history_read(const struct warren_properties *properties,
                                const struct history_of *of, struct arena *arena,
                                struct history *history);

#endif
