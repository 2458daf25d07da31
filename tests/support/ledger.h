/* ledger.h - publishing with books kept: what was tried, how each message ended, and what of it
 * lies in the queue. A message's body begins with its number, so that a drained message finds its
 * line; the bytes behind it are a pattern of the number.
 * Thread: ledger_publish() any; the rest the test's.
 */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/publisher.h>

#include "support/broker.h"
#include "support/peer.h"

/** What a publisher was told, or was not, about one message. */
struct ledger_entry {
    bool accepted;
    unsigned receipts; /* more than one is a fault */
    unsigned order;    /* its receipt was the so-many-th, from 1 */
    enum warren_result result;
    uint32_t sends;
    uint16_t reply_code;
    char reply_text[128];
    char id[64];     /* as the receipt named it */
    unsigned queued; /* copies found by ledger_drain() */
};

/** Where messages go, and how; fill in what you need. */
struct ledger_plan {
    const char *exchange; /* NULL: the default exchange */
    const char *routing_key;
    const char *id_prefix; /* NULL: ids are generated; else they are "PREFIX-NUMBER" */
    size_t body_size;      /* at least; 0: the number alone */
    size_t first_size;     /* of number 0, if not 0 */
    uint32_t timeout_ms;
    uint32_t pace_us; /* threads: rest after each message */
    bool optional;
};

struct ledger;

/** Room for @capacity messages. */
struct ledger *ledger_new(unsigned capacity, const struct ledger_plan *plan);
void ledger_free(struct ledger *ledger);

/** @return as warren_publisher_publish(), or WARREN_ENOTFOUND if there is no room for a line */
enum warren_status ledger_publish(struct ledger *ledger, struct warren_publisher *publisher);
/** So many, each accepted, or the test fails. */
void ledger_publish_many(struct ledger *ledger, struct warren_publisher *publisher, unsigned count);
/** Change the destination of what follows. */
void ledger_aim(struct ledger *ledger, const char *exchange, const char *routing_key);
/** Change the time limit of what follows. */
void ledger_time_limit(struct ledger *ledger, uint32_t timeout_ms);

/** Publish on @threads threads until ledger_stop(), or until the ledger is full. */
void ledger_start(struct ledger *ledger, struct warren_publisher *publisher, unsigned threads);
/** Join them. @at_once: else wait until the ledger is full. */
void ledger_stop(struct ledger *ledger, bool at_once);

/** So many were tried, so many were not accepted, so many have ended, so many as CONFIRMED.
 * Thread: any. */
unsigned ledger_attempts(struct ledger *ledger);
unsigned ledger_refused(struct ledger *ledger);
unsigned ledger_ended(struct ledger *ledger);
unsigned ledger_confirmed(struct ledger *ledger);
const struct ledger_entry *ledger_entry(struct ledger *ledger, unsigned number);

/** Take everything off @queue and book it. */
void ledger_drain(struct ledger *ledger, struct peer *peer, const char *queue);

struct ledger_totals {
    unsigned attempts;
    unsigned accepted;
    unsigned results[WARREN_SPOOLED + 1];
    unsigned unended;    /* accepted, and no receipt came */
    unsigned repeated;   /* a second receipt, or one of a message that was not accepted */
    unsigned queued;     /* numbers found in the queue */
    unsigned duplicates; /* further copies of them */
    unsigned lost;       /* CONFIRMED, and not in the queue */
    unsigned unexpected; /* in the queue: unknown, altered, or of a message that cannot be there */
    unsigned disordered; /* first copies that came behind a later number */
    unsigned recovered;  /* CONFIRMED after more than one sending */
    int64_t longest_call_ms;
    int64_t longest_stall_ms; /* between two receipts */
};

/** The sums; after all threads and receipts ended. NACKED in a queue is neither lost nor wrong. */
struct ledger_totals ledger_totals(const struct ledger *ledger);

/** Print the line of a run. */
void ledger_report(const struct ledger *ledger, const struct broker *broker, const char *what,
                   const char *faults);
/** One receipt for each accepted message and no other; else the test fails. */
void ledger_check_receipts(const struct ledger *ledger);
/** The same, and of what was drained nothing is lost and nothing unexpected. */
void ledger_check(const struct ledger *ledger);

/**
 * A publisher to @uri with short reconnect delays; @options may be NULL, its URIs are ignored.
 * Fails the test if there is none.
 */
struct warren_publisher *publisher_open(const char *uri,
                                        const struct warren_publisher_options *options);

#endif
