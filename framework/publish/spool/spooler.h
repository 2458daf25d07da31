/* spooler.h - the durable half of a publisher with a spool: every message is on disk before its
 * publish returns, and leaves the disk when the broker has it.
 *
 *   callers > group > commit > window  ........ ended > group > commit (removed)
 *                        \-> disk > window when there is room
 *
 * The writer of the file does all that touches the disk. What callers hand over while it commits is
 * the next group, so many callers share one flush of the disk. Messages enter the window in the
 * order of their commits; once one finds no room, all later ones are read back from disk, behind
 * it. A message that a queue refuses (basic.nack) is sent again: after a growing rest everything
 * from it on that is still there, in order.
 * Thread: as each function says. Elsewhere: the rows (store/spool/spool.h), the window (sender.c).
 */
#ifndef WARREN_PUBLISH_SPOOLER_H
#define WARREN_PUBLISH_SPOOLER_H

#include "publish/message/record.h"
#include "store/spool/spool.h"

struct spooler;

struct spooler_options {
    const char *path;
    enum database_synchronous synchronous;
    uint64_t max_bytes;
    uint64_t max_age_ms; /* 0: none */
    enum warren_spool_when_full when_full;
    bool tell_gone; /* what is removed unsent passes, too, as EXPIRED */
};

/** What the spooler asks of its publisher, and reports to it; on the writer's thread, without a
 * lock. */
struct spooler_events {
    /** Send @record. @return false: there is no room now, it stays the spooler's */
    bool (*offer)(void *user, struct record *record);
    /** Only the receipt of @record is to come, with the result that it has: SPOOLED, for it stays
     * on disk, or EXPIRED. It is the callee's. */
    void (*pass)(void *user, struct record *record);
    /** Everything with a lower id has left the disk, or is refused. */
    void (*done)(void *user, int64_t below);
    /** What an operator should know. @trouble: else it is over, or it is news */
    void (*report)(void *user, bool trouble, const char *text);
    /** Transactional handlers (store/writer/transactor.h) appended @messages, and have committed.
     * On any thread */
    void (*appended)(void *user, int64_t messages);
};

/**
 * Open the spool and begin to send what is in it.
 *
 * @return WARREN_OK; as writer_get() and spool_claim(), with @error
 */
enum warren_status spooler_new(const struct spooler_options *options,
                               const struct spooler_events *events, void *user,
                               struct spooler **ret_spooler, struct warren_error *error);

/**
 * Write @record to disk, and have it sent: it is the spooler's then.
 *
 * @wait_ms  how long to wait for room, by bytes, if the policy is to wait
 * @return   WARREN_OK: it is committed; else it is the caller's still: WARREN_ETOOBIG,
 *           WARREN_EFULL, WARREN_ETIMEOUT (no room), WARREN_ECLOSED, WARREN_EIO (the disk)
 * Thread: any but the writer's.
 */
enum warren_status spooler_publish(struct spooler *spooler, struct record *record, int64_t wait_ms);

/**
 * The sender is done with @record, which has a spool_id: CONFIRMED, EXPIRED and TIMEOUT leave the
 * disk, so does RETURNED if its receipt @reported that, else it is kept as refused; NACKED is sent
 * again; SPOOLED stays.
 * Thread: the sender's. Never blocks.
 */
void spooler_ended(struct spooler *spooler, const struct record *record, bool reported);
/** There is room again. Thread: the sender's. */
void spooler_room(struct spooler *spooler);

/** What @record is on disk; borrows from it. */
void spooler_message_of(const struct record *record, struct spool_message *message);
/** Is there room for @bytes more? If not, it counts as a wait for room. Thread: any. */
bool spooler_has_room(struct spooler *spooler, int64_t bytes);
/**
 * Handlers appended @messages to the table, of @bytes together and up to @last_id, and have
 * committed. Thread: any.
 */
void spooler_appended(struct spooler *spooler, int64_t messages, int64_t bytes, int64_t last_id);

/** The id of the last message that was committed. Thread: any. */
int64_t spooler_last_id(struct spooler *spooler);
/** What the statistics of <warren/publisher.h> do not say. */
struct spooler_levels {
    uint64_t room_waits; /* times that there was no room; part of window_full */
    int64_t bytes_max;
    int64_t oldest_ms; /* when the oldest one that is to be sent was appended, since 1970; a second
                          old at most. 0: there is none */
};

/** Thread: any. */
void spooler_levels(struct spooler *spooler, struct spooler_levels *levels);
/** Thread: any. */
void spooler_stats(struct spooler *spooler, struct warren_publisher_stats *stats);

/** Take no more from callers; who waits is sent away. Thread: any. */
void spooler_close(struct spooler *spooler);
/** Offer no more. What the sender ends until spooler_free() still counts. Thread: any. */
void spooler_halt(struct spooler *spooler);
/** Write what was ended, leave the file. NULL is fine. */
void spooler_free(struct spooler *spooler);

#endif
