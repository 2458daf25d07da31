/* attempt.c - see attempt.h. */
#include "consume/attempt/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void attempt_done(struct attempt *attempt)
{
    free(attempt->unpublished);
    free(attempt->owed);
    free(attempt->trace);
}

void attempt_free(struct attempt *attempt)
{
    if (!attempt)
        return;
    attempt_done(attempt);
    delivery_free(&attempt->delivery);
}

struct attempt *attempt_move(struct attempt *from, size_t room)
{
    struct delivery *old = &from->delivery;
    struct delivery *delivery =
        delivery_new(room, delivery_exchange_bytes(old), delivery_routing_key_bytes(old),
                     delivery_properties(old), old->body_len);
    size_t marks = old->room - ATTEMPT_SIZE;

    if (!delivery)
        return NULL;
    memcpy((char *)delivery - old->room, (char *)old - old->room,
           marks + offsetof(struct attempt, may_go));
    memcpy(delivery_body(delivery), delivery_body(old), old->body_len);
    delivery->tag = old->tag;
    delivery->offset = old->offset;
    delivery->generation = old->generation;
    delivery->redelivered = old->redelivered;
    from->unpublished = NULL;
    from->owed = NULL;
    from->trace = NULL;
    return attempt_of(delivery);
}

void attempt_count_failure(struct attempt *attempt)
{
    attempt->failed++;
    if (attempt->first_failure_s == 0)
        attempt->first_failure_s = clock_wall_ms() / 1000;
}
