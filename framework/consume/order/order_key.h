/* order_key.h - by what a message is ordered, read from the delivery as it is: nothing is decoded,
 * copied or allocated. Thread: any.
 * Elsewhere: what the handler's own function says (consume/runtime/subscription_order.c); what is
 * done with a key (order_lines.h).
 */
#ifndef WARREN_CONSUME_ORDER_KEY_H
#define WARREN_CONSUME_ORDER_KEY_H

#include "amqp/wire/delivery.h"
#include "base/siphash.h"
#include "config/config.h"

/** The kinds of a key: a text "1" is another key than the number 1. */
#define KEY_TEXT   't'
#define KEY_NUMBER 'n'

struct order_key {
    char kind;                 /* 0: there is none */
    struct warren_bytes bytes; /* borrowed from the delivery, or @number */
    uint8_t number[8];
};

/**
 * The key of @delivery by @by, which is not ORDER_BY_HANDLER. A text with NULs in it is one with
 * its length; a whole number is the same key in each of its types, a time is a number. An empty
 * text is no key, and so is what is neither text nor whole number.
 */
void order_key_find(struct order_key *key, const struct config_key *by,
                    const struct delivery *delivery);

/** A key as it is compared: 128 bits of SipHash. */
struct order_name {
    uint64_t low;
    uint64_t high;
};

/** Draw a secret, so that nobody who sends messages can make two keys meet. */
void order_secret_draw(uint8_t secret[SIPHASH_SIZE]);
/**
 * The name of a key: @kind and @key, all of it, tell it from all others.
 *
 * @kind  what @key is: a text and a number of the same bytes are two keys
 */
struct order_name order_name_of(const uint8_t secret[SIPHASH_SIZE], char kind,
                                struct warren_bytes key);
static inline bool order_name_same(const struct order_name *a, const struct order_name *b)
{
    return a->low == b->low && a->high == b->high;
}

/** What a message without one lacks, as a clause. */
void order_key_lacks(const struct config_key *by, char *text, size_t size);

#endif
