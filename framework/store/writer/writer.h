/* writer.h - the one thread of this process that writes a database file: works are done in groups,
 * so that one commit, and one flush of the disk, serves many.
 *
 *   works, and what handlers wrote (transactor.h) > group > commit > done
 *                                                      \-> it fails: done, or tried again
 *
 * While a group is on its way to the disk the next one gathers. Each open file of a process has one
 * writer, whoever asks for it: SQLite lets one connection write at a time, and here they need not
 * poll. A failing disk is reported to each client once, and its end; works whose effect is there
 * already wait for it, the others fail at once. Bound: a work is in a writer's hands once, and
 * belongs to a message in a window of somebody's. Elsewhere: what is written (key_writer.h,
 * publish/spool/spooler.h).
 */
#ifndef WARREN_STORE_WRITER_H
#define WARREN_STORE_WRITER_H

#include <stdatomic.h>

#include "store/db/database.h"
#include "store/idempotency/idempotency.h"
#include "store/spool/spool.h"

/** This many works do not wait for more. */
#define WRITER_GROUP_GOOD 256

struct writer;
struct writer_work;
struct writer_client;

/** One connection to the file, with the statements of all that is kept in it. */
struct writer_side {
    struct database *database;
    struct idempotency_rows keys;
    struct spool *spool;
};

/** What a work is. All on the writer's thread. */
struct writer_kind {
    /** Write, in a transaction. What fails is undone with everything else of the group; it may be
     * run again, until `done`. */
    enum warren_status (*run)(struct writer_work *work, struct writer_side *side,
                              struct warren_error *error);
    /** Called once: WARREN_OK, it is on disk. Short, without waiting. @work is the client's again.
     */
    void (*done)(struct writer_work *work, enum warren_status status);
    bool reads;    /* it needs no transaction, and waits for nobody's */
    bool retried;  /* what fails is tried again until it succeeds, or its client leaves */
    bool relaxed;  /* a loss of power may undo it */
    bool anywhere; /* it is done also if the file is not in its place */
};

struct writer_work {
    struct writer_work *next; /* of the queue that it is in */
    struct writer_client *client;
    const struct writer_kind *kind;
};

/** What is said to who has works; any may be NULL. On the writer's thread, or that of a handler. */
struct writer_events {
    /** The first failure after a success; @waiting works are tried again. */
    void (*failed)(void *user, const char *error, size_t waiting);
    /** The first success after a failure. */
    void (*recovered)(void *user);
    /** What the log beside the file takes. @trouble: it grows; else that is over */
    void (*size)(void *user, bool trouble, const char *text);
    void *user;
};

/** When what failed is worth another try. */
struct writer_retry {
    int64_t delay_ms; /* the last one; 0: it has not failed */
    int64_t at_ms;    /* by the monotonic clock */
};

/** Who has works. Any function may be NULL. On the writer's thread; `begin` and `appended` also on
 * that of a handler. */
struct writer_client {
    enum database_synchronous synchronous; /* when its works count as done */
    uint32_t group_delay_us;               /* how long a group may wait for more, under load */
    struct writer_events events;
    /** A transaction was begun. */
    enum warren_status (*begin)(struct writer_client *client, struct writer_side *side,
                                struct warren_error *error);
    /** Works have run, and are to be committed. */
    enum warren_status (*finish)(struct writer_client *client, struct writer_side *side,
                                 struct warren_error *error);
    /** It was kicked, or its time has come. @return when that is again, by the monotonic clock */
    int64_t (*tend)(struct writer_client *client, int64_t now_ms);
    /** Handlers appended @messages to the spool, up to @last_id, and they are committed. */
    void (*appended)(struct writer_client *client, int64_t messages, int64_t bytes,
                     int64_t last_id);
    /* the writer's */
    size_t pending; /* works that are not done */
    size_t ended;   /* of these, in this cycle of the thread */
    bool is_kicked;
    atomic_bool is_leaving;
    bool is_failing;
    int64_t due_ms;
    struct writer_retry retry; /* zero after a success; may be read on the writer's thread */
};

/**
 * The writer of a file, which is opened, or made, if this process has none yet. From then on
 * @options of later ones do not count.
 *
 * @return as database_open(); WARREN_EIO if no thread could be started, or if the writer was
 *         inherited by fork(2), for SQLite's connections must not be
 */
enum warren_status writer_get(const struct database_options *options, struct writer **ret_writer,
                              struct warren_error *error);
/** Once for each writer_get(): the last one closes the file. NULL is fine. */
void writer_put(struct writer *writer);

/** Nobody writes or reads until writer_resume(): the caller may, on writer_own(). Thread: any but
 * the writer's, and none that is in a transaction. */
void writer_pause(struct writer *writer);
void writer_resume(struct writer *writer);
/** The connection of the thread, for who has paused it, and in `tend`. */
struct writer_side *writer_own(struct writer *writer);

/** From now on @client's functions are called. While paused. */
void writer_join(struct writer *writer, struct writer_client *client);
/** Do what @client has handed over, and what it wants when kicked, each at most once more; what
 * fails is done with its status. It hands over no more. */
void writer_leave(struct writer *writer, struct writer_client *client);

/** Hand @work over until its `done`. Those that write are run in this order. Thread: any. */
void writer_submit(struct writer *writer, struct writer_client *client, struct writer_work *work);
/** Have @client tended, soon. Thread: any. */
void writer_kick(struct writer *writer, struct writer_client *client);
/** Something else of @client's failed, in `tend`. */
void writer_failed(struct writer *writer, struct writer_client *client,
                   const struct warren_error *error);

/** What it did; all counts only grow. */
struct writer_stats {
    uint64_t commits;
    uint64_t failures;
};

/** Thread: any. */
void writer_stats(struct writer *writer, struct writer_stats *stats);

#endif
