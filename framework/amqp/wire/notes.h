/* notes.h - what warren has noted in the headers of a message, believed as far as warren can have
 * written it. Anybody who publishes can write such headers, so they are checked for type, range and
 * sense, and count as a whole or not at all:
 *
 *   a copy    has queue, exchange and routing key, and where attempts failed, how many, since when
 *   a replay  has a count of replays, perhaps exchange and routing key, and nothing of the others
 *
 * Nobody can be kept from forging a whole set who may publish into the queue itself by the default
 * exchange: that costs the message its own attempts, and no more.
 * Nothing is decoded, copied or allocated. Thread: any; async-signal-safe.
 * Elsewhere: their names (annotations.h); who writes them (consume/relay/envelope.h, warren dlq).
 */
#ifndef WARREN_AMQP_NOTES_H
#define WARREN_AMQP_NOTES_H

#include <warren/message.h>

#include "amqp/wire/delivery.h"

/** No more attempts, and no more replays, are believed. */
#define NOTES_COUNT_MAX UINT32_C(1000000000)
/** Clocks of hosts may differ by so much: what is noted of a later time is not believed. */
#define NOTES_SKEW_S 86400

/** Borrowed from the delivery. */
struct notes {
    struct warren_bytes queue;       /* at most 255 bytes, as the next two; empty: */
    struct warren_bytes exchange;    /* of a replay, */
    struct warren_bytes routing_key; /* where data is NULL if it has none */
    uint32_t attempts;
    uint64_t first_failure_s; /* since 1970; 0: no attempt failed */
    uint32_t replays;
};

/**
 * The notes of a message that was consumed from @queue, where warren has put it again. It comes
 * there by the default exchange: what comes by another one is somebody else's.
 *
 * @return false: there are none that count, and @notes is all 0
 */
bool notes_of_copy(const struct delivery *delivery, const char *queue, struct notes *notes);

/** The same of one that was in @queue, and has gone on from there. */
bool notes_read(const struct delivery *delivery, const char *queue, struct notes *notes);

/** May a copy have this header, put aside from the message (annotations.h)? */
bool notes_is_aside(struct warren_bytes name, const struct warren_value *value);

/** Is @text one that can be a name of AMQP? */
bool notes_is_name(struct warren_bytes text);
/** A time in seconds since 1970 that can have been when something happened. */
bool notes_is_past(uint64_t seconds);

#endif
