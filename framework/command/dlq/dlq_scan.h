/* dlq_scan.h - go through a dead-letter queue from its head, as far as it reached at the beginning:
 * each message is shown to the owner, who leaves it where it is or keeps it, to ack it later. All
 * that was not acked is given back at the end, in its order.
 *
 * AMQP shows a message only by delivering it, and the next one only while the earlier ones are
 * held. So everything that is left stays unsettled until the end, which `leave_max` bounds.
 * A quorum queue hands out first what was given back, and puts what comes back behind that. So
 * where leave_max (and with window that is the prefetch) ends among such messages, those that did
 * not come stand at the head afterwards. Nothing helps but to hold all of them. A quorum queue also
 * counts it in x-delivery-count (RabbitMQ 4.3 does not); from RabbitMQ 4.0 on one without an
 * x-delivery-limit of its own drops or dead-letters what was given back 20 times.
 *
 * Thread: main (the session's loop). Elsewhere: what is done with a message.
 */
#ifndef WARREN_COMMAND_DLQ_SCAN_H
#define WARREN_COMMAND_DLQ_SCAN_H

#include "command/dlq/dlq_letter.h"
#include "command/dlq/dlq_session.h"

/** Below this delivery limit a queue is not looked at, where a look counts and mind_limit is set.
 * The standing limit of RabbitMQ 4 is no lower; of that the owner is to warn (handed_back). */
#define DLQ_FEW_LOOKS 20

/** Highest `leave_max` and `window`; together they fit into a prefetch. */
#define DLQ_LEAVE_MAX  60000
#define DLQ_WINDOW_MAX 5000

struct dlq_scan;

struct dlq_scan_options {
    const char *queue;
    uint32_t leave_max; /* messages left behind: then it ends, 1 to DLQ_LEAVE_MAX */
    uint32_t window;    /* messages kept and not acked at once, 0 to DLQ_WINDOW_MAX */
    uint32_t look_max;  /* messages; 0: as many as were ready at the beginning */
    bool mind_limit;    /* refuse a queue that gives a message up after few looks */
    int64_t hold_ms;    /* then all is given back, before the broker's consumer_timeout ends the
                           channel; 0: never */
};

struct dlq_scan_result {
    uint32_t depth;         /* messages that were ready at the beginning */
    uint32_t consumers;     /* of others, then */
    uint32_t looked_at;     /* of them */
    uint32_t left;          /* of them, behind */
    uint32_t unreadable;    /* of them: headers nested too deeply, or too large; those that were
                               left */
    int64_t handed_back;    /* the highest x-delivery-count among them */
    bool drops_handed_back; /* RabbitMQ 4 or later: see above */
    bool limited;           /* leave_max were left behind */
    bool moved;             /* what came and went back stands behind others now: see above */
    bool interrupted;       /* by a signal */
    bool held_too_long;     /* hold_ms were over; another scan goes on */
};

struct dlq_scan_events {
    /** The queue is there. @return false: look at nothing. May be NULL. */
    bool (*begin)(void *user, struct dlq_scan *scan, uint32_t depth);
    /**
     * A message; @letter lives until this returns. @return true: it is kept, until dlq_scan_ack()
     * or dlq_scan_leave(); false: left.
     */
    bool (*letter)(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                   struct delivery *delivery);
    /**
     * A message whose headers are nested too deeply, or too large: nothing is known of it but the
     * id, and that not always. @return as letter. May be NULL: left.
     */
    bool (*unreadable)(void *user, struct dlq_scan *scan, struct warren_bytes id,
                       struct delivery *delivery);
    /** The broker has processed @count acks. May be NULL. */
    void (*proven)(void *user, uint32_t count);
    /**
     * No further message is shown, and what is kept and not on its way is to be left now: a signal
     * came, or something was lost (@urgent), or hold_ms are over. Once; may be NULL.
     */
    void (*hurry)(void *user, bool urgent);
};

/**
 * Do it. It returns when everything kept was acked or left, and everything else is back in its
 * place. Runs the loop.
 *
 * @return WARREN_OK, also after a signal; WARREN_EFULL: refused, see mind_limit; WARREN_ENOTFOUND:
 * there is no such queue; WARREN_EBROKER, WARREN_EIO: refused or lost; WARREN_ETIMEOUT,
 * WARREN_ENOMEM; with @error, and @result as far as it came
 */
enum warren_status dlq_scan_run(struct dlq_session *session, const struct dlq_scan_options *options,
                                const struct dlq_scan_events *events, void *user,
                                struct dlq_scan_result *result, struct warren_error *error);

/* ---- from inside the events, and whatever else runs on the loop ---- */

/** The message goes. It is off the window when `proven` counted it. */
void dlq_scan_ack(struct dlq_scan *scan, struct delivery *delivery);
/** Send the acks of this turn. */
void dlq_scan_flush(struct dlq_scan *scan);
/** What was kept stays where it is, after all. */
void dlq_scan_leave(struct dlq_scan *scan, struct delivery *delivery);
/** Show no more. */
void dlq_scan_stop(struct dlq_scan *scan);

#endif
