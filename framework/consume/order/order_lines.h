/* order_lines.h - messages with the same key, one behind the other: the first of a line goes on its
 * way, those behind it wait until it has left.
 *
 *   enter > true: it goes on ............ leave > the next one of its line goes on
 *         \-> false: it waits in its line ---------^
 *
 * A line is there as long as it has a message: there are never more lines than messages, and a key
 * waits for nothing but its own. A key is known by 128 bits of SipHash, with a secret of the table.
 * Nothing here is counted against a bound: what waits stands in the prefetch window, unsettled.
 * Thread: the loop's. Owner: struct subscription_order embeds one; who waits is its own.
 * Elsewhere: what the key of a message is (order_key.h); when lines are entered and left
 * (consume/runtime/subscription_order.c).
 */
#ifndef WARREN_CONSUME_ORDER_LINES_H
#define WARREN_CONSUME_ORDER_LINES_H

#include "consume/attempt/batch.h"
#include "consume/order/order_key.h"

struct order_line {
    struct order_name name;
    struct order_line *next; /* in its bucket, or of those that are spare */
    struct batch waiting;    /* behind the first one, which is on its way */
    bool taken; /* it has a first one; of the common one alone, which is always there */
};

struct order_lines {
    struct order_line **buckets;
    size_t mask; /* their count - 1 */
    struct order_line *spare;
    uint32_t spare_count;
    struct order_line
        common;     /* of all that have no key, if these are ordered; and for want of memory */
    bool overflows; /* a key was put there for want of memory; until it is empty */
    uint8_t secret[SIPHASH_SIZE];
    uint32_t count;   /* of lines */
    uint32_t waiting; /* of messages that are not the first of theirs */
};

/** @messages  that will be in it at once, about. WARREN_OK or WARREN_ENOMEM */
enum warren_status order_lines_init(struct order_lines *lines, uint32_t messages);
/** Empty, or zeroed. */
void order_lines_done(struct order_lines *lines);

/** As order_name_of(), with the secret of @lines. */
struct order_name order_lines_name(const struct order_lines *lines, char kind,
                                   struct warren_bytes key);

/**
 * @attempt, which is in no line, comes to that of @name; NULL: to the common one.
 *
 * @return true: it is the first, and goes on; its `line` is set. false: it waits here
 */
bool order_lines_enter(struct order_lines *lines, const struct order_name *name,
                       struct attempt *attempt);
/**
 * @attempt, the first of a line, leaves it.
 *
 * @return who is the first one now, and goes on. NULL: nobody
 */
struct attempt *order_lines_leave(struct order_lines *lines, struct attempt *attempt);
/** Append to @batch all that wait, in no order of lines; they are in none any more. */
void order_lines_take_waiting(struct order_lines *lines, struct batch *batch);

#endif
