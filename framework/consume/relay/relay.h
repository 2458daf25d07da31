/* relay.h - publish a copy of a delivery in its place: into the dead-letter exchange, or into its
 * queue again with the attempts counted. Only when the broker has confirmed the copy may the
 * delivery be acked; see settlement.h for that.
 *
 * Body and properties are those of the delivery, but for the headers and what stands there in place
 * of a property; see envelope.h.
 * Thread: any. Elsewhere: what is relayed, and when (job_relay.c, subscription_drain.c).
 */
#ifndef WARREN_CONSUME_RELAY_H
#define WARREN_CONSUME_RELAY_H

#include "base/random.h"
#include "consume/attempt/attempt.h"
#include <warren/publisher.h>

#include "amqp/wire/delivery.h"
#include "base/arena.h"

/* ---- history ----
 *
 * what the headers of a message say of its way so far: warren's own notes, and the broker's count
 * of failed deliveries. Thread: any. Elsewhere: which notes count (amqp/wire/notes.h), who writes
 * them (envelope.h).
 */

struct history {
    uint32_t failed;          /* attempts before this delivery */
    uint64_t first_failure_s; /* since 1970; 0: none is known */
    uint32_t replays;         /* of warren dlq */
    bool copied;              /* it is a copy of warren's, or a replay */
    const char *exchange;     /* where it was published first; NULL: where it came from now */
    const char *routing_key;  /* NULL as above */
};

/**
 * @queue          that @delivery came from; notes about another one do not count
 * @broker_counts  the broker's count is a second source: of a redelivered message,
 *                 x-delivery-count, or else one more, or none beside x-acquired-count
 * @arena          where the texts go
 * @return         WARREN_OK or WARREN_ENOMEM
 */
enum warren_status history_read(const struct delivery *delivery, const char *queue,
                                bool broker_counts, struct arena *arena, struct history *history);

/** How a relay publishes: publisher_relay(), or what a test puts in its place. */
struct relay_outlet {
    enum warren_status (*publish)(struct warren_publisher *publisher,
                                  const struct warren_publish *what, const struct arena *texts,
                                  const char *to_queue, int64_t delay_ms, int64_t most_ms,
                                  warren_receipt_fn *receipt, void *receipt_user);
    size_t (*properties_max)(struct warren_publisher *publisher);
    struct warren_publisher *publisher;
};

/** Of one subscription. Texts are borrowed. */
struct relay {
    struct relay_outlet outlet;
    const char *queue;
    const char *handler;
    const char *dead_exchange; /* NULL: dead letters are not published */
    const char *dead_queue;    /* bound to it, for reports; may be NULL */
    const char *slow_queue;    /* where those go whose attempt has failed; NULL: into their own */
    bool into_queue;           /* false: the queue must not get a copy, for it is a stream, or
                                  would lose its order: what is tried again waits here */
    bool broker_counts;        /* see history.h */
    char host[65];
};

/** What the copy says about the attempts, and how long it may take. */
struct relay_facts {
    uint32_t failed;          /* attempts of this delivery that count */
    uint64_t first_failure_s; /* of these, since 1970; 0: there is none */
    uint64_t last_failure_s;  /* of a dead letter; 0: now */
    const char *reason;       /* of a dead letter: REASON_*; NULL: it is none */
    const char *error;        /* the rest may be NULL */
    const char *signal;
    const char *backtrace;
    const char *trace;    /* traceparent of the attempt; NULL: nobody traces */
    const char *to_queue; /* in place of the delivery's own; outlives all. Not of a dead letter */
    int64_t delay_ms;     /* of a later attempt */
    int64_t left_ms;      /* until all must have ended; INT64_MAX: no such time */
    bool wait;            /* for room in the publisher's window, within bounds */
};

/**
 * Publish a copy of @delivery: with a reason to the dead-letter exchange, else into its queue, or
 * that of the facts, after facts->delay_ms.
 *
 * @scratch     memory for the copy's properties
 * @on_receipt  called once if this returned WARREN_OK
 * @return      WARREN_OK; WARREN_ETOOBIG (of one for its queue: it would lack headers),
 *              WARREN_EFULL, WARREN_ETIMEOUT, WARREN_ECLOSED, WARREN_ENOMEM
 */
enum warren_status relay_copy(const struct relay *relay, struct delivery *delivery,
                              const struct relay_facts *facts, struct arena *scratch,
                              warren_receipt_fn *on_receipt, void *user);

/* ---- owed ----
 *
 * what is kept of an attempt whose outcome stands while the copy that it asks for is not
 * confirmed: the words of the copy, for the job is gone by then, and when it was tried. One piece
 * of memory, which its delivery owns. Thread: who has the delivery. Elsewhere: when a copy is
 * tried again (subscription_owed.c).
 */

/** How soon a copy is tried again: 0.5 to 1 s, growing to 0.5 to 30 s. */
#define OWED_AGAIN_MIN_MS 500
#define OWED_AGAIN_MAX_MS 30000

struct owed {
    int64_t due_ms;   /* by the clock, when the next attempt is; INT64_MAX: there is none here */
    int64_t since_ms; /* when the copy failed first; -1: it has not */
    uint32_t failed;  /* copies that failed, also of earlier outcomes of the delivery */
    struct relay_facts facts;
    char texts[];
};

/**
 * Keep a copy of @facts with @attempt, in place of what was kept of an earlier outcome. Without
 * memory nothing is kept: if the copy fails then, the message is attempted again.
 */
void owed_keep(struct attempt *attempt, const struct relay_facts *facts, int64_t due_ms);

/** A copy has failed. @return ms until the next one, at least */
int64_t owed_again_ms(struct owed *owed, struct random *random);

#endif
