/* attempt.h - attempts without a consumer. Thread: the test's. */
#ifndef TESTS_SUPPORT_ATTEMPT_H
#define TESTS_SUPPORT_ATTEMPT_H

#include "consume/attempt/attempt.h"

/** A delivery with an attempt that has not begun, and no marks. As delivery_new(). */
static inline struct attempt *attempt_new(struct warren_bytes exchange,
                                          struct warren_bytes routing_key,
                                          struct warren_bytes properties, size_t body_len)
{
    struct delivery *delivery =
        delivery_new(attempt_room(0), exchange, routing_key, properties, body_len);

    return delivery ? attempt_of(delivery) : NULL;
}

#endif
