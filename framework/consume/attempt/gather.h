/* gather.h - messages that are gathered until they are a batch for the handler.
 *
 *   add > [open, until size, bytes, or wait] > closed: a row of attempts, `together` in the first
 *
 * A batch that is full is closed at once. One whose first message has waited is closed only if a
 * worker is free for it; else it goes on growing, so that messages which come too fast for small
 * batches are handled in larger ones.
 * Bound: what is gathered stands in the prefetch window; a batch has the plan's size and bytes.
 * Thread: none of its own. Owner: struct subscription_gather embeds one; the attempts in it are its
 * own.
 */
#ifndef WARREN_CONSUME_GATHER_H
#define WARREN_CONSUME_GATHER_H

#include "consume/attempt/batch.h"

/** How many messages are handled together. */
struct gather_plan {
    uint32_t size; /* 0: each alone */
    uint32_t wait_ms;
    size_t bytes; /* of the bodies; a larger message is a batch of its own */
};

/** Why a batch was closed. */
enum gather_closed { GATHER_SIZE, GATHER_BYTES, GATHER_WAIT, GATHER_CLOSED };

/** All zero: nothing. */
struct gather {
    struct batch open;
    size_t bytes;                   /* of these bodies */
    int64_t since_ms;               /* when the first of them came */
    uint32_t closed[GATHER_CLOSED]; /* batches since these were taken; the owner takes them */
};

/** Gather @attempt; what is full is appended to @go. */
void gather_add(struct gather *gather, const struct gather_plan *plan, struct attempt *attempt,
                int64_t now_ms, struct batch *go);
/** When the first message has waited; INT64_MAX: there is none. */
int64_t gather_due_ms(const struct gather *gather, const struct gather_plan *plan);
/** It has, and a worker is free: all that there is is appended to @go. */
void gather_close(struct gather *gather, enum gather_closed why, struct batch *go);
/** Append all to @batch, as no batch. */
void gather_take(struct gather *gather, struct batch *batch);

#endif
