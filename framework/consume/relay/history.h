/* history.h - what the headers of a message say of its way so far: warren's own notes, and the
 * broker's count of failed deliveries.
 * Thread: any. Elsewhere: which notes count (amqp/wire/notes.h), who writes them (envelope.h).
 */
#ifndef WARREN_CONSUME_HISTORY_H
#define WARREN_CONSUME_HISTORY_H

#include "amqp/wire/delivery.h"
#include "base/arena.h"

struct history {
    uint32_t failed;          /* attempts before this delivery */
    uint64_t first_failure_s; /* since 1970; 0: none is known */
    uint32_t replays;         /* of warren dlq */
    bool copied;              /* it is a copy of warren's, or a replay */
    const char *exchange;     /* where it was published first; NULL: where it came from now */
    const char *routing_key;  /* NULL as above */
};

/**
 * @queue          that @delivery came from; notes about another one do not count
 * @broker_counts  the broker's count is a second source: of a redelivered message,
 *                 x-delivery-count, or else one more, or none beside x-acquired-count
 * @arena          where the texts go
 * @return         WARREN_OK or WARREN_ENOMEM
 */
enum warren_status history_read(const struct delivery *delivery, const char *queue,
                                bool broker_counts, struct arena *arena, struct history *history);

#endif
