/* transactor_private.h - the inside of a transactor, for the files that make it: transactor.c
 * (handlers, one at a time), transactor_life.c, transactor_commit.c (the group, its transaction,
 * the thread that commits it) and transactor_blame.c (whose fault it is).
 */
#ifndef WARREN_STORE_TRANSACTOR_PRIVATE_H
#define WARREN_STORE_TRANSACTOR_PRIVATE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/condition.h"
#include "store/idempotency/idempotency_connection.h"
#include "store/writer/transactor.h"
#include "store/writer/transactor_guard.h"

/** So long each message has a transaction of its own, after one had undone that of others: until
 * those others, who come again after a second, and the culprit had theirs. */
#define SINGLY_US INT64_C(10000000)

enum own_statement { OWN_SAVE, OWN_UNDO, OWN_RELEASE, OWN_COMMIT, OWN_COUNT };

struct transactor {
    struct idempotency_connection connection;
    struct sqlite3_stmt *own[OWN_COUNT];
    struct spool *spool; /* NULL: it is not in this file */
    struct transactor_guard guard;
    struct keeper_events events;
    uint32_t group_delay_us;
    pthread_t thread;
    bool started;

    pthread_mutex_t mutex; /* guards the next block */
    struct condition changed;
    transactor_appended_fn *appended;
    void *appended_user;
    bool busy;  /* somebody uses the connection */
    bool wants; /* the thread is about to commit: nobody else shall enter */
    bool stopping;
    bool is_failing;
    int64_t singly_until_us; /* until then nobody shares a transaction */
    struct transactor_work *group;
    struct transactor_work **group_last;
    size_t group_count;
    struct transactor_stats stats;

    /* read without the mutex, which a lost thread may have */
    atomic_bool abandoned;  /* by a handler that crashed in it */
    _Atomic pid_t occupant; /* the thread whose handler is in it; 0: none is */

    /* of who is busy */
    bool is_open;  /* a transaction is begun, and with it the turn taken */
    bool is_alone; /* who is busy commits when it leaves */
    int64_t next_row;
    size_t last_group; /* the thread's */
};

int64_t transactor_now_us(void);

/* ---- the group: under the mutex ---- */

void transactor_group_clear(struct transactor *t);
void transactor_group_add(struct transactor *t, struct transactor_work *work);

/* ---- the transaction: of who is busy, not under the mutex ---- */

enum warren_status transactor_run_own(struct transactor *t, enum own_statement which,
                                      struct warren_error *error);
enum warren_status transactor_open(struct transactor *t, struct warren_error *error);
/** It is committed (WARREN_OK), or else everything is undone; all of the group are told. */
void transactor_close(struct transactor *t, enum warren_status status);
/** A failure such as a full disk makes SQLite roll everything back, what others wrote included; a
 * handler's statement can, too. */
bool transactor_is_lost(struct transactor *t);
/** Undo all of it, and say why. @text  NULL: it was a handler, whose message is told */
void transactor_lose(struct transactor *t, const char *text);
/**
 * Commit the group. What the store did is told an operator, and is WARREN_EIO and others; what one
 * of the group did, by whatever it wrote, is WARREN_EINVAL: who that was is found out singly.
 */
enum warren_status transactor_commit(struct transactor *t, struct warren_error *error);
/** Nobody is busy any more. */
void transactor_vacate(struct transactor *t);

/** It succeeded or failed, with so many messages waiting: an operator hears of what is new. */
void transactor_note(struct transactor *t, enum warren_status status, const char *text,
                     size_t count);

/* ---- transactor_blame.c: of who is busy, not under the mutex ---- */

/** A handler is about to enter. */
void transactor_blame_begin(struct transactor *t);
/** Was what the last call of the handler was told the disk's fault? Else it is its own. */
bool transactor_disk_failed(struct transactor *t);
/** The same of a call of the transactor's own: of the store, or of what handlers wrote? */
bool transactor_store_failed(struct transactor *t);
/** Somebody undid, or would undo, what others wrote: for a while nobody shares a transaction. */
void transactor_suspect(struct transactor *t);
/** Is it so? Under the mutex. */
bool transactor_is_singly(const struct transactor *t);

/** The thread that commits. */
void *transactor_run(void *transactor);

#endif
