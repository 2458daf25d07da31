/* identity.h - what makes a message the same one when the broker delivers it again: its queue and
 * its message id; without an id all else that a redelivery does not change.
 * Thread: any. The only home of xxHash.
 */
#ifndef WARREN_CONSUME_IDENTITY_H
#define WARREN_CONSUME_IDENTITY_H

#include "amqp/wire/delivery.h"

/** 128 bits of XXH3: two messages with the same one do not come. All zero: none. */
struct identity {
    uint64_t low;
    uint64_t high;
};

static inline bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->low == b->low && a->high == b->high;
}

/**
 * The identity of @delivery: of its message id, or, if it has none, of exchange, routing key,
 * properties without headers (the broker writes into those) and body.
 *
 * @ret_message_id  borrowed from @delivery; of length 0 if there is none
 */
struct identity identity_of(const struct delivery *delivery, uint64_t seed,
                            struct warren_bytes *ret_message_id);

/** A plain hash of @bytes, as a checksum or for a name. */
uint64_t identity_hash(const void *bytes, size_t len, uint64_t seed);

#endif
