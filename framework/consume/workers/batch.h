/* batch.h - deliveries in a row, linked through themselves: what moves between threads at once.
 * Thread: none of its own; whoever owns the batch owns its deliveries.
 */
#ifndef WARREN_CONSUME_BATCH_H
#define WARREN_CONSUME_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "amqp/wire/delivery.h"

/** All zero: empty. */
struct batch {
    struct delivery *first;
    struct delivery *last;
    uint32_t count;
};

/** Put @delivery at the end. */
static inline void batch_add(struct batch *batch, struct delivery *delivery)
{
    delivery->next = NULL;
    if (batch->last)
        batch->last->next = delivery;
    else
        batch->first = delivery;
    batch->last = delivery;
    batch->count++;
}

/** The first delivery, taken out, or NULL. */
static inline struct delivery *batch_pop(struct batch *batch)
{
    struct delivery *delivery = batch->first;

    if (!delivery)
        return NULL;
    batch->first = delivery->next;
    if (!batch->first)
        batch->last = NULL;
    batch->count--;
    delivery->next = NULL;
    return delivery;
}

/** Move all of @from to the end of @to. */
static inline void batch_splice(struct batch *to, struct batch *from)
{
    struct batch none = {NULL, NULL, 0};

    if (!from->first)
        return;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->count += from->count;
    *from = none;
}

#endif
