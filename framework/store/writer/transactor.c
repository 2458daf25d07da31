/* transactor.c - see transactor.h: handlers, one at a time. */
#include <stddef.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/writer/transactor_private.h"

#define ROLLED_BACK_BY_DISK "the disk failed a statement of the handler's: SQLite rolled all back"

/* ---- one at a time ---- */

/* Asked once a thread, for it is a system call. */
static pid_t own_id(void)
{
    static __thread pid_t id;

    if (id == 0)
        id = gettid();
    return id;
}

/* Under the mutex: who is to be alone waits until the group is committed. */
static bool has_company(const struct transactor *t)
{
    return t->group_count > 0 && transactor_is_singly(t);
}

static enum warren_status occupy(struct transactor *t, int64_t wait_ms, struct warren_error *error)
{
    int64_t until_us = wait_ms < INT32_MAX ? transactor_now_us() + wait_ms * 1000 : INT64_MAX;
    enum warren_status status = WARREN_OK;

    pthread_mutex_lock(&t->mutex);
    while (status == WARREN_OK && !t->stopping && (t->busy || t->wants || has_company(t)))
        if (!condition_wait_until_us(&t->changed, &t->mutex, until_us))
            status = error_set(error, WARREN_ETIMEOUT,
                               "%s: other handlers had the transaction all the time",
                               database_path(t->connection.database));
    if (status == WARREN_OK && t->stopping)
        status = error_set(error, WARREN_ECLOSED, "the store is closed");
    if (status == WARREN_OK) {
        t->busy = true;
        t->occupant = own_id();
    }
    t->is_alone = transactor_is_singly(t);
    pthread_mutex_unlock(&t->mutex);
    return status;
}

void transactor_vacate(struct transactor *t)
{
    pthread_mutex_lock(&t->mutex);
    t->busy = false;
    t->occupant = 0;
    pthread_mutex_unlock(&t->mutex);
    condition_broadcast(&t->changed);
}

/* In a handler; a change of the schema may have the statement compiled again, which it may not. */
static enum warren_status append(struct warren_outbox *outbox, struct spool_message *message,
                                 struct warren_error *error)
{
    struct transactor_work *work =
        (struct transactor_work *)(void *)((char *)outbox -
                                           offsetof(struct transactor_work, outbox));
    struct transactor *t = work->transactor;
    enum warren_status status;

    if (transactor_is_lost(t))
        return error_set(error, WARREN_EINVAL, "the transaction was rolled back");
    transactor_guard_own(&t->guard);
    status = spool_append(t->spool, message, error);
    transactor_guard_enter(&t->guard);
    if (status != WARREN_OK)
        return status;
    outbox->messages++;
    outbox->bytes += spool_message_bytes(message);
    outbox->last_id = message->id;
    return WARREN_OK;
}

enum warren_status transactor_enter(struct transactor *t, struct transactor_work *work,
                                    int64_t wait_ms, struct warren_error *error)
{
    enum warren_status status = occupy(t, wait_ms, error);

    if (status != WARREN_OK)
        return status;
    transactor_guard_own(&t->guard);
    if (!t->is_open) {
        status = transactor_open(t, error);
        if (status != WARREN_OK)
            transactor_note(t, status, error->text, 0);
    }
    if (status == WARREN_OK)
        status = transactor_run_own(t, OWN_SAVE, error);
    if (status != WARREN_OK) {
        if (t->is_open && transactor_is_lost(t))
            transactor_lose(t, error->text);
        transactor_vacate(t);
        return status;
    }
    work->transactor = t;
    work->outbox = (struct warren_outbox){.append = append};
    transactor_blame_begin(t);
    transactor_guard_enter(&t->guard);
    return WARREN_OK;
}

/* Undo what the handler did; a transaction of nobody ends. @text  see transactor_lose() */
static void undo(struct transactor *t, const char *text)
{
    struct warren_error error = {WARREN_OK, ""};
    bool is_empty;

    if (transactor_is_lost(t)) {
        if (!text)
            transactor_suspect(t);
        transactor_lose(t, text);
        return;
    }
    if (transactor_run_own(t, OWN_UNDO, &error) != WARREN_OK ||
        transactor_run_own(t, OWN_RELEASE, &error) != WARREN_OK) {
        transactor_lose(t, error.text);
        return;
    }
    pthread_mutex_lock(&t->mutex);
    is_empty = t->group_count == 0;
    pthread_mutex_unlock(&t->mutex);
    if (is_empty)
        transactor_close(t, WARREN_ECLOSED);
}

bool transactor_drop(struct transactor *t)
{
    bool failed = transactor_disk_failed(t);

    transactor_guard_leave(&t->guard);
    undo(t, failed ? ROLLED_BACK_BY_DISK : NULL);
    transactor_guard_restore(&t->guard);
    transactor_vacate(t);
    return !failed;
}

/* WARREN_OK: what the handler wrote is there. */
static enum warren_status look_for_loss(struct transactor *t, struct warren_error *error)
{
    struct sqlite3 *sqlite = transactor_handle(t);

    if (!transactor_is_lost(t))
        return WARREN_OK;
    if (transactor_disk_failed(t))
        return error_set(error, WARREN_EIO, "%s", ROLLED_BACK_BY_DISK);
    if ((sqlite3_errcode(sqlite) & 0xff) != SQLITE_CONSTRAINT) /* of a later statement */
        return error_set(error, WARREN_EINVAL, "%s", TRANSACTOR_ROLLED_BACK);
    return error_set(error, WARREN_EINVAL, "%s: %s", TRANSACTOR_ROLLED_BACK,
                     sqlite3_errmsg(sqlite));
}

static enum warren_status add_key(struct transactor *t, struct transactor_work *work,
                                  struct warren_error *error)
{
    enum warren_status status;

    work->row = 0;
    if (!work->claim)
        return WARREN_OK;
    status = idempotency_add(&t->connection, work->claim, true, &work->row, error);
    if (status == WARREN_OK && work->claim->overtaken)
        return error_set(error, WARREN_ECLOSED, "another process has taken the message over");
    return status;
}

/* Key and savepoint. A handler's timer that comes too late interrupts them: its own fault. */
static enum warren_status join(struct transactor *t, struct transactor_work *work,
                               struct warren_error *error)
{
    enum warren_status status = add_key(t, work, error);

    if (status == WARREN_OK)
        status = transactor_run_own(t, OWN_RELEASE, error);
    if (status == WARREN_EIO && (sqlite3_errcode(transactor_handle(t)) & 0xff) == SQLITE_INTERRUPT)
        status = WARREN_EINVAL;
    return status;
}

enum warren_status transactor_leave(struct transactor *t, struct transactor_work *work,
                                    struct warren_error *error)
{
    int64_t before = idempotency_next_row(&t->connection);
    enum warren_status status = look_for_loss(t, error);

    transactor_guard_leave(&t->guard);
    /* All before it left none, so those that there are now are its own. */
    if (status == WARREN_OK && transactor_guard_has_orphans(&t->guard))
        status = error_set(error, WARREN_EINVAL, "%s", TRANSACTOR_ORPHANS);
    if (status == WARREN_OK)
        status = join(t, work, error);
    if (status == WARREN_OK) {
        pthread_mutex_lock(&t->mutex);
        transactor_group_add(t, work);
        pthread_mutex_unlock(&t->mutex);
        if (t->is_alone)
            status = transactor_commit(t, error);
    } else {
        idempotency_set_next_row(&t->connection, before);
        undo(t, status == WARREN_EINVAL ? NULL : error->text);
    }
    transactor_guard_restore(&t->guard);
    transactor_vacate(t);
    return status;
}
