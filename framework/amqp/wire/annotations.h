/* annotations.h - the headers that warren writes into messages, and which headers are notes about a
 * message's way so far, to be left out when it is published again.
 */
#ifndef WARREN_AMQP_ANNOTATIONS_H
#define WARREN_AMQP_ANNOTATIONS_H

#include <string.h>

#include <warren/message.h>

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

#endif
