/* dlq_letter.h - one message of a dead-letter queue: what its envelope says, be it warren's
 * (amqp/wire/notes.h) or what the broker notes in x-death. The broker's goes first: a worker
 * leaves x-death out of the letters that it writes, so what else stands beside one is the sender's,
 * unless it is that of a copy which came into the queue of x-death as one (amqp/wire/notes.h).
 * Warren's counts as a whole or not at all: queue, exchange, routing key, attempts, reason and the
 * time of the last failure, each of its type, and texts where the others are there.
 * Thread: any. Elsewhere: which of them are meant (dlq_filter.h).
 */
#ifndef WARREN_COMMAND_DLQ_LETTER_H
#define WARREN_COMMAND_DLQ_LETTER_H

#include <warren/message.h>

#include "amqp/wire/delivery.h"
#include "base/arena.h"
#include "command/dump/dump.h"

/* ---- dlq_groups.c: what dead letters of one cause have in common: reason, handler, signal and
 * the first line of the error, with everything that differs from message to message folded into #
 * ---- */

/** Eight hex digits and the NUL. */
#define DLQ_GROUP_SIZE 9

/** Longest folded error and the NUL; the rest is cut off. */
#define DLQ_ERROR_SIZE 200

/**
 * The first line of @error for people and for comparing: each number, hexadecimal number (from 0x,
 * or of eight digits or more of which one is decimal) and UUID becomes one "#".
 */
void dlq_fold_error(const char *error, size_t len, char folded[DLQ_ERROR_SIZE]);

/** A short name of a group: the FNV-1a hash of its parts, @folded as dlq_fold_error() left it. */
void dlq_group(struct warren_bytes reason, struct warren_bytes handler, struct warren_bytes signal,
               const char *folded, char group[DLQ_GROUP_SIZE]);

/**
 * No text is NULL: "" is nothing. All live in the arena, or in the delivery; they may hold a NUL:
 * arena_bytes() of @texts gives their lengths, those in @message included.
 */
struct dlq_letter {
    const struct arena *texts;
    struct warren_message message;
    const char *id;          /* the message's */
    const char *queue;       /* that it died in; "" if nothing says so */
    const char *exchange;    /* that it was published to first, */
    const char *routing_key; /* and with which key */
    const char *reason;      /* "attempts"; the broker's "expired"; "unknown" */
    const char *handler;
    const char *signal;
    const char *error;
    const char *backtrace;
    const char *host;
    const char *version;
    bool copied;      /* it bears notes of warren's that count */
    int64_t attempts; /* that failed; 0: nothing says so */
    int64_t replays;
    int64_t first_failure_s; /* since 1970; 0: nothing says so */
    int64_t died_s;          /* when it was dead-lettered; 0: nothing says so */
    int64_t handed_back;     /* the broker's x-delivery-count: deliveries that came back */
    bool came_back;          /* to a quorum queue, that is: it was looked at before */
    char folded[DLQ_ERROR_SIZE];
    char group[DLQ_GROUP_SIZE];
};

/**
 * Read @delivery, a message of the dead-letter queue @dlq.
 *
 * @arena  outlives @letter, as @delivery does
 * @return WARREN_OK, WARREN_EPROTOCOL, WARREN_ENOMEM
 */
enum warren_status dlq_letter_read(struct delivery *delivery, const char *dlq, struct arena *arena,
                                   struct dlq_letter *letter);

/**
 * Make @letter's message what was published first: without warren's notes and the broker's, with
 * x-warren-exchange, x-warren-routing-key, and x-warren-replays one higher; so the next worker
 * begins with fresh attempts. What the broker would act on (expiration, user_id, CC) stays aside as
 * a worker has put it (notes.h), or is put there.
 *
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status dlq_letter_renew(const struct dlq_letter *letter, struct arena *arena,
                                    struct warren_message *message);

/* ---- as dump files ---- */

/** "00001-" and an id of which at most 100 bytes are kept, ".json", and the NUL. */
#define DLQ_FILE_NAME_SIZE 128

/** What the file of @letter holds; everything is borrowed from it. @dlq: where it lies */
struct dump_message dlq_dump_of(const struct dlq_letter *letter, const char *dlq);

/** "00007-ID.json"; what is no letter, digit, dot, hyphen or underline in the id becomes one. */
void dlq_file_name(const struct dlq_letter *letter, uint64_t number, char name[DLQ_FILE_NAME_SIZE]);

#endif
