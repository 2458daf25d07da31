/* transactor.h - the transaction in which handlers write: with the keys of their messages, so that
 * both are on disk or neither is.
 *
 *   enter > (handler writes) > leave, with the key > [others do the same] > commit > decided
 *                          \-> drop: as if it had never been
 *
 * There is one connection, one handler at a time is in it, and all share one transaction, with a
 * savepoint each; the writer of the file commits it, with its own works. So many messages cost one
 * flush of the disk. What was committed is decided for each; what was not is rolled back as a
 * whole, and its messages have to be handled again. While a handler is in it, no other can write
 * the file, in this process or another. Elsewhere: keys whose handlers write nothing here
 * (key_writer.h), who commits (writer.h).
 */
#ifndef WARREN_STORE_TRANSACTOR_H
#define WARREN_STORE_TRANSACTOR_H

#include <sys/types.h>

#include "store/writer/key_writer.h"

struct transactor;
struct transactor_work;

/** Called once, on whatever thread ends the transaction: short, without waiting. @work is the
 * caller's again. */
typedef void transactor_decided_fn(struct transactor_work *work, enum warren_status status);

/** One message. Embedded in what the caller keeps of it; @claim and @decided are written by it. */
struct transactor_work {
    struct writer_work work;         /* first: its place in the group */
    struct idempotency_claim *claim; /* NULL: it has no key */
    transactor_decided_fn *decided;
    struct warren_outbox outbox; /* of transactor_enter() to transactor_leave() */
    /* the transactor's */
    struct transactor *transactor;
    int64_t row;
    enum warren_status status;
    enum { TRANSACTOR_OUTSIDE, TRANSACTOR_JOINED, TRANSACTOR_AWAITED, TRANSACTOR_DECIDED } state;
};

/**
 * Open a connection to the file of @writer, which is paused, for handlers that write with keys of
 * @store. All of them outlive it.
 *
 * @client  of the writer, gets reports of failures
 * @return  as database_open()
 */
enum warren_status transactor_new(const struct key_writer_options *options, struct writer *writer,
                                  struct writer_client *client, struct idempotency_store *store,
                                  struct transactor **ret, struct warren_error *error);

/** The file is that of a publisher's spool, too: handlers may append there. Before one enters. */
void transactor_use_outbox(struct transactor *transactor);
bool transactor_has_outbox(const struct transactor *transactor);

/** The connection: for handlers' statements. What would end the transaction is not authorised. */
struct sqlite3 *transactor_handle(struct transactor *transactor);

/**
 * Wait until no other is in it, begin a transaction if there is none, and set a savepoint.
 *
 * @work     of who enters; its outbox may be used from now on, if there is one
 * @wait_ms  how long
 * @return   WARREN_OK; WARREN_ETIMEOUT, WARREN_ECLOSED; else as database_fail(), with @error
 * Thread: any but the writer's. On success the same one calls one of the next two, once.
 */
enum warren_status transactor_enter(struct transactor *transactor, struct transactor_work *work,
                                    int64_t wait_ms, struct warren_error *error);
/**
 * What the handler wrote joins the group, with the key. Follow with transactor_await().
 *
 * @return WARREN_OK; else everything the handler wrote is rolled back: WARREN_EINVAL, by a
 *         statement of its own, and the whole group with it; WARREN_ECLOSED, another process has
 *         taken the key over; WARREN_EIO and others, the disk
 */
enum warren_status transactor_leave(struct transactor *transactor, struct transactor_work *work,
                                    struct warren_error *error);
/**
 * Roll back to the savepoint.
 *
 * @return false: it was the disk that failed the handler
 */
bool transactor_drop(struct transactor *transactor);

/**
 * Ask for the fate of @work, which has joined.
 *
 * @return true: it is decided, see @ret_status; false: `decided` will be called.
 * WARREN_OK: it is on disk; else it is undone. Thread: any
 */
bool transactor_await(struct transactor *transactor, struct transactor_work *work,
                      enum warren_status *ret_status);

/**
 * A batch: with @stays, leaving and dropping do not let others in, and the thread that is in it
 * enters again at once; the last time without. If it has left, and stays no more, others are let
 * in. Harmless for a thread that is not in it.
 */
void transactor_stay(struct transactor *transactor, bool stays);

/** The thread whose handler is in it; 0: none is. Thread: any. */
pid_t transactor_occupant(struct transactor *transactor);
/**
 * That thread will never leave, and the process is to end: nobody is let in any more, nothing is
 * committed, what had joined is undone, and everything else that this process would write into the
 * file fails, at once. Nothing that the thread uses is touched, or freed. Thread: any but that one.
 */
void transactor_abandon(struct transactor *transactor);
bool transactor_is_abandoned(struct transactor *transactor);

/** Have committed what there is; enter no more. Harmless to repeat; NULL is fine. */
void transactor_stop(struct transactor *transactor);
/** After transactor_stop(), with the handlers' statements finalized. NULL is fine. */
void transactor_free(struct transactor *transactor);

#endif
