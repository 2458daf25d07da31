/* batch.h - deliveries in a row, linked through themselves: what moves between threads at once.
 * Thread: none of its own; whoever owns the batch owns its deliveries.
 */
#ifndef WARREN_CONSUME_BATCH_H
#define WARREN_CONSUME_BATCH_H

#include "consume/attempt/attempt.h"

/** All zero: empty. */
struct batch {
    struct attempt *first;
    struct attempt *last;
    uint32_t count;
};

/** Put @attempt at the end. */
static inline void batch_add(struct batch *batch, struct attempt *attempt)
{
    attempt->next = NULL;
    if (batch->last)
        batch->last->next = attempt;
    else
        batch->first = attempt;
    batch->last = attempt;
    batch->count++;
}

/** The first delivery, taken out, or NULL. */
static inline struct attempt *batch_pop(struct batch *batch)
{
    struct attempt *attempt = batch->first;

    if (!attempt)
        return NULL;
    batch->first = attempt->next;
    if (!batch->first)
        batch->last = NULL;
    batch->count--;
    attempt->next = NULL;
    return attempt;
}

/** Move the first @count of @from, which has as many, to the end of @to. */
static inline void batch_move(struct batch *to, struct batch *from, uint32_t count)
{
    while (count-- > 0)
        batch_add(to, batch_pop(from));
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
