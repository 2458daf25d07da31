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
 * Elsewhere: who writes them (consume/relay/envelope.h, warren dlq).
 */
#ifndef WARREN_AMQP_NOTES_H
#define WARREN_AMQP_NOTES_H

#include <string.h>

#include <warren/message.h>

#include "amqp/wire/delivery.h"

/* ---- annotations ----
 *
 * the headers that warren writes into messages, and which headers are notes about a message's way
 * so far, to be left out when it is published again.
 */

/* ---- while a message is retried ---- */

#define NOTE_ATTEMPTS      "x-warren-attempts"      /* i64: attempts that failed so far */
#define NOTE_FIRST_FAILURE "x-warren-first-failure" /* timestamp of the first of them */
#define NOTE_EXCHANGE      "x-warren-exchange"      /* string: where it was published first, */
#define NOTE_ROUTING_KEY   "x-warren-routing-key"   /* string: and with which key */
#define NOTE_QUEUE         "x-warren-queue"         /* string: that it was consumed from */
#define NOTE_REPLAYS       "x-warren-replays"       /* i64: how often it left a dead-letter queue */
#define NOTE_TRACE         "x-warren-traceparent"   /* string: the attempt that the copy follows */

/* What a copy cannot have where the broker would act on it: it stands in a header instead. */
#define NOTE_EXPIRATION "x-warren-expiration" /* string: the property; a copy does not expire */
#define NOTE_USER_ID    "x-warren-user-id"    /* string: the property; it must be the publisher's */
#define NOTE_CC         "x-warren-cc"         /* the header CC: the broker would send it there */
#define NOTE_LEFT_OUT   "x-warren-left-out"   /* string: names of headers that did not fit */

/* What a copy of a message without an id is known by if the broker returns it: a message id would
 * change the message. */
#define NOTE_COPY "x-warren-copy" /* string: a UUID, another one in each copy */

/* ---- the envelope of a dead letter, besides those above ---- */

#define NOTE_REASON       "x-warren-reason"       /* string: one word, see below */
#define NOTE_HANDLER      "x-warren-handler"      /* string: PLUGIN.HANDLER */
#define NOTE_ERROR        "x-warren-error"        /* string: what the handler said */
#define NOTE_SIGNAL       "x-warren-signal"       /* string: such as SIGSEGV */
#define NOTE_BACKTRACE    "x-warren-backtrace"    /* string: a line a frame */
#define NOTE_LAST_FAILURE "x-warren-last-failure" /* timestamp */
#define NOTE_HOST         "x-warren-host"         /* string */
#define NOTE_VERSION      "x-warren-version"      /* string: of the worker */

/* Values of NOTE_REASON. */
#define REASON_REJECTED "rejected" /* the handler said so */
#define REASON_ATTEMPTS "attempts" /* retry: too many */
#define REASON_AGE      "age"      /* retry: too old */
#define REASON_BREAKER  "breaker"  /* an open breaker */
#define REASON_CRASH    "crash"    /* it killed a worker process, or was suspected to */

/* ---- delay queues ---- */

/* Headers exchanges look at no header whose name begins with x-. */
#define NOTE_DELAY_PREFIX "warren-delay-"

/* Names come over the wire, so they have a length. */

static inline bool annotation_begins(struct warren_bytes name, const char *prefix)
{
    size_t len = strlen(prefix);

    return name.len >= len && memcmp(name.data, prefix, len) == 0;
}

static inline bool annotation_is(struct warren_bytes name, const char *wanted)
{
    return name.len == strlen(wanted) && annotation_begins(name, wanted);
}

/** Is @name a note of warren's? */
static inline bool annotation_is_warrens(struct warren_bytes name)
{
    return annotation_begins(name, "x-warren-") || annotation_begins(name, NOTE_DELAY_PREFIX);
}

/** Is @name a note of the broker's about deliveries and dead-lettering? */
static inline bool annotation_is_brokers(struct warren_bytes name)
{
    return annotation_is(name, "x-death") || annotation_begins(name, "x-first-death-") ||
           annotation_begins(name, "x-last-death-") || annotation_is(name, "x-delivery-count") ||
           annotation_is(name, "x-acquired-count");
}

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

/** May a copy have this header, put aside from the message? */
bool notes_is_aside(struct warren_bytes name, const struct warren_value *value);

/** Is @text one that can be a name of AMQP? */
bool notes_is_name(struct warren_bytes text);
/** A time in seconds since 1970 that can have been when something happened. */
bool notes_is_past(uint64_t seconds);

#endif
