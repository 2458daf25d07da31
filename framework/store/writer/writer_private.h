/* writer_private.h - the inside of a writer, for the files that make it: writer.c (the thread),
 * writer_group.c (one transaction), writer_life.c (who has one); and of its transactor:
 * transactor.c (handlers, one at a time), transactor_commit.c (their group).
 */
#ifndef WARREN_STORE_WRITER_PRIVATE_H
#define WARREN_STORE_WRITER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/condition.h"
#include "store/writer/transactor.h"
#include "store/writer/transactor_guard.h"
#include "store/writer/writer.h"
#include "store/writer/writer_metrics.h"

/** One that keeps keys and one that has a spool; tests have more. */
#define WRITER_CLIENTS 4
/** How often the log is looked after while the file is written. */
#define WRITER_TEND_MS 1000

struct works {
    struct writer_work *first;
    struct writer_work **last;
    size_t count;
};

struct writer {
    struct writer *next; /* of all */
    dev_t device;
    ino_t inode;
    uint32_t forks; /* of forked_begin(), in the process that has the thread */
    unsigned users;

    struct writer_side own;        /* of the thread */
    struct transactor *transactor; /* NULL: no handler writes. Set while paused */
    pthread_t thread;
    bool started;

    pthread_mutex_t mutex;    /* guards the next block */
    struct condition wake;    /* the thread's */
    struct condition changed; /* everybody else's */
    struct works reads;
    struct works writes;
    bool sleeps;   /* the thread does, */
    size_t wanted; /* until there is so much to write, or anything else to do */
    bool is_kicked;
    bool working;      /* the thread is at its connection */
    bool busy;         /* somebody writes: it, a handler, or who has paused it */
    bool wants;        /* the thread is about to: no other shall begin */
    unsigned visitors; /* handlers that wait, */
    bool visited;      /* one of which had its turn since the thread had */
    unsigned pauses;   /* who has paused it, or is about to */
    unsigned leaving;  /* clients: nothing waits for more */
    int64_t ready_us;  /* until then what there is to write waits for more; 0: there is nothing */
    uint32_t group_delay_us; /* the longest of its clients' */
    size_t last_group;       /* how much was in it */
    bool stopping;
    atomic_bool cut_log;   /* the log is to be cut off, with no other writing */
    atomic_bool abandoned; /* by a handler that crashed in a transaction */

    struct writer_client *clients[WRITER_CLIENTS]; /* change under the mutex, and while paused */
    size_t client_count;

    /* the thread's */
    struct works failed; /* to be tried again; others look while it sleeps */
    struct writer_retry retry;
    int64_t due_ms;  /* when there is something to do although nothing comes */
    int64_t tend_ms; /* when to look after the log; INT64_MAX: no need */

    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t failures;
    struct writer_metrics metrics;
};

static inline int64_t writer_now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static inline int64_t writer_now_us(void)
{
    return clock_now_ns(clock_monotonic()) / 1000;
}

/* ---- writer.c ---- */

void works_init(struct works *works);
void works_add(struct works *works, struct writer_work *work);
struct writer_work *works_pop(struct works *works);
/** All of @from to the end of @to. */
void works_move(struct works *to, struct works *from);

void *writer_run(void *writer);
/** Under the mutex: something was handed over, or somebody writes no more. */
void writer_wake(struct writer *w);
/** Somebody who was busy is so no more. Not under the mutex. */
void writer_vacate(struct writer *w);

/* ---- writer_group.c: of who is busy, not under the mutex ---- */

/** Statements on a connection that was opened. */
enum warren_status writer_side_prepare(struct writer_side *side, struct warren_error *error);
void writer_side_done(struct writer_side *side);
/** Begin a transaction, in which commits count as @synchronous says. On failure there is none. */
enum warren_status writer_begin(struct writer *w, struct writer_side *side,
                                enum database_synchronous synchronous, struct warren_error *error);
/** All of the works in one transaction; with what handlers have written, if they have. */
void writer_write(struct writer *w, struct works *works);
/** Works that need no transaction. */
void writer_read(struct writer *w, struct works *works);
/** Tell @news of the log, if there are any. */
void writer_tell_log(struct writer *w);

/* ---- the transactor ---- */

/** For this time each message has a transaction of its own, after one had undone that of others:
 * until those others, who come again after a second, and the culprit had theirs. */
#define SINGLY_US INT64_C(10000000)

enum own_statement { OWN_SAVE, OWN_UNDO, OWN_RELEASE, OWN_COMMIT, OWN_COUNT };

struct transactor {
    struct writer *writer;
    struct writer_client *client; /* gets reports of failures */
    struct idempotency_store *store;
    struct writer_side side; /* of handlers */
    struct sqlite3_stmt *own[OWN_COUNT];
    struct transactor_guard guard;
    bool has_outbox;

    /* under the writer's mutex */
    bool stopping;
    int64_t singly_until_us; /* until then nobody shares a transaction */
    struct works group;

    _Atomic pid_t occupant; /* the thread whose handler is in it; 0: none is */

    /* of who is busy */
    bool is_open;  /* a transaction is begun */
    bool is_alone; /* who is busy commits when it leaves */
    bool stays;    /* who leaves enters again: nobody else is let in */
    bool has_left; /* and it has */
};

/* ---- the transaction: of who is busy, not under the mutex ---- */

enum warren_status transactor_run_own(struct transactor *t, enum own_statement which,
                                      struct warren_error *error);
enum warren_status transactor_open(struct transactor *t, struct warren_error *error);
/** It is committed (WARREN_OK), or else everything is undone; all of the group are decided. */
void transactor_close(struct transactor *t, enum warren_status status);
/** A failure such as a full disk makes SQLite roll everything back, what others wrote included; a
 * handler's statement can, too. */
bool transactor_is_lost(struct transactor *t);
/** Undo all of it, and say why. @text  NULL: it was a handler, whose message fails */
void transactor_lose(struct transactor *t, const char *text);
/**
 * Commit the group. What the store did is reported to the operator, and is WARREN_EIO and others;
 * what one of the group did, by whatever it wrote, is WARREN_EINVAL: who that was is found out
 * singly.
 *
 * @works  of the writer, that share the transaction
 */
enum warren_status transactor_commit(struct transactor *t, size_t works,
                                     struct warren_error *error);

/** A handler is about to enter. */
void transactor_blame_begin(struct transactor *t);
/** Was the error of the handler's last call the disk's fault? Else it is its own. */
bool transactor_disk_failed(struct transactor *t);
/** Somebody undid, or would undo, what others wrote: for a while nobody shares a transaction. */
void transactor_suspect(struct transactor *t);
/** Is it so? Under the mutex. */
bool transactor_is_singly(const struct transactor *t);

/** It succeeded or failed, with @waiting works to be tried again: reported if that is news. */
void writer_note(struct writer *w, struct writer_client *client, enum warren_status status,
                 const char *text, size_t waiting);

#endif
