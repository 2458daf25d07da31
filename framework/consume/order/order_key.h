/* order_key.h - by what a message is ordered, read from the delivery as it is: nothing is decoded,
 * copied or allocated. Thread: any.
 * Elsewhere: what the handler's own function says (consume/runtime/subscription_order.c); what is
 * done with a key (order_lines.h).
 */
#ifndef WARREN_CONSUME_ORDER_KEY_H
#define WARREN_CONSUME_ORDER_KEY_H

#include "amqp/wire/delivery.h"
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
 * The key of @delivery by @order, which is not ORDER_BY_HANDLER. A text with NULs in it is one with
 * its length; a whole number is the same key in each of its types, a time is a number. An empty
 * text is no key, and so is what is neither text nor whole number.
 */
void order_key_find(struct order_key *key, const struct config_order *order,
                    const struct delivery *delivery);

/** What a message without one lacks, as a clause. */
void order_key_lacks(const struct config_order *order, char *text, size_t size);

#endif
