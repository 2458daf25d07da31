/* transactor.c - see transactor.h: its life, and handlers, one at a time. */
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/writer/writer_private.h"

#define ROLLED_BACK_BY_DISK "the disk failed a statement of the handler's: SQLite rolled all back"

/* ---- life ---- */

static const char *const own_texts[OWN_COUNT] = {
    [OWN_SAVE] = "SAVEPOINT " TRANSACTOR_SAVEPOINT,
    [OWN_UNDO] = "ROLLBACK TO " TRANSACTOR_SAVEPOINT,
    [OWN_RELEASE] = "RELEASE " TRANSACTOR_SAVEPOINT,
    [OWN_COMMIT] = "COMMIT",
};

static enum warren_status prepare(struct transactor *t, const struct database_options *options,
                                  struct warren_error *error)
{
    struct database_options beside = *options;
    enum warren_status status;

    beside.beside = t->writer->own.database;
    status = database_open(&beside, &t->side.database, error);
    if (status == WARREN_OK && !database_watch(t->side.database, "-lock"))
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status == WARREN_OK)
        status = writer_side_prepare(&t->side, error);
    t->side.keys.store = t->store;
    for (size_t i = 0; status == WARREN_OK && i < OWN_COUNT; i++)
        status = database_prepare(t->side.database, own_texts[i], &t->own[i], error);
    if (status == WARREN_OK)
        transactor_guard_init(&t->guard, transactor_handle(t));
    return status;
}

static void discard(struct transactor *t)
{
    for (size_t i = 0; i < OWN_COUNT; i++)
        database_finalize(t->own[i]);
    writer_side_done(&t->side);
    free(t);
}

enum warren_status transactor_new(const struct key_writer_options *options, struct writer *writer,
                                  struct writer_client *client, struct idempotency_store *store,
                                  struct transactor **ret, struct warren_error *error)
{
    struct transactor *t = calloc(1, sizeof *t);
    enum warren_status status;

    if (!t)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    t->writer = writer;
    t->client = client;
    t->store = store;
    works_init(&t->group);
    status = prepare(t, &options->database, error);
    if (status != WARREN_OK) {
        discard(t);
        return status;
    }
    writer->transactor = t;
    *ret = t;
    return WARREN_OK;
}

void transactor_stop(struct transactor *t)
{
    struct writer *w;

    if (!t)
        return;
    w = t->writer;
    pthread_mutex_lock(&w->mutex);
    t->stopping = true;
    condition_broadcast(&w->changed);
    writer_wake(w);
    while (t->group.count > 0 || (t->occupant != 0 && !w->abandoned))
        condition_wait(&w->changed, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
}

void transactor_free(struct transactor *t)
{
    if (!t || t->writer->abandoned)
        return;
    transactor_stop(t);
    writer_pause(t->writer);
    t->writer->transactor = NULL;
    writer_resume(t->writer);
    discard(t);
}

/* ---- what can be asked at any time ---- */

pid_t transactor_occupant(struct transactor *t)
{
    return atomic_load(&t->occupant);
}

bool transactor_is_abandoned(struct transactor *t)
{
    return t->writer->abandoned;
}

void transactor_use_outbox(struct transactor *t)
{
    t->has_outbox = true;
}

bool transactor_has_outbox(const struct transactor *t)
{
    return t->has_outbox;
}

struct sqlite3 *transactor_handle(struct transactor *t)
{
    return database_handle(t->side.database);
}

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
    return t->group.count > 0 && transactor_is_singly(t);
}

static enum warren_status occupy(struct transactor *t, int64_t wait_ms, struct warren_error *error)
{
    struct writer *w = t->writer;
    int64_t until_us = wait_ms < INT32_MAX ? writer_now_us() + wait_ms * 1000 : INT64_MAX;
    bool in_time = true;
    enum warren_status status = WARREN_OK;

    pthread_mutex_lock(&w->mutex);
    w->visitors++;
    while (in_time && !t->stopping && (w->busy || w->wants || w->pauses > 0 || has_company(t)))
        in_time = condition_wait_until_us(&w->changed, &w->mutex, until_us);
    w->visitors--;
    if (t->stopping) {
        status = error_set(error, WARREN_ECLOSED, "the store is closed");
    } else if (!in_time) {
        status =
            error_set(error, WARREN_ETIMEOUT, "%s: other handlers had the transaction all the time",
                      database_path(t->side.database));
    } else {
        w->busy = w->visited = true;
        t->occupant = own_id();
        t->is_alone = transactor_is_singly(t);
    }
    writer_wake(w);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

static void vacate(struct transactor *t)
{
    t->has_left = t->stays;
    if (t->stays)
        return;
    t->occupant = 0;
    writer_vacate(t->writer);
}

void transactor_stay(struct transactor *t, bool stays)
{
    if (t->occupant != own_id())
        return;
    t->stays = stays;
    if (t->has_left)
        vacate(t);
}

/* @return true: this thread has it already, of the message before */
static bool comes_back(struct transactor *t)
{
    if (t->occupant != own_id() || !t->has_left)
        return false;
    t->has_left = false;
    return true;
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
    status = spool_append(t->side.spool, message, error);
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
    enum warren_status status = WARREN_OK;

    if (!comes_back(t))
        status = occupy(t, wait_ms, error);
    if (status != WARREN_OK)
        return status;
    transactor_guard_own(&t->guard);
    if (!t->is_open) {
        status = transactor_open(t, error);
        if (status != WARREN_OK)
            writer_note(t->writer, t->client, status, error->text, 0);
    }
    if (status == WARREN_OK)
        status = transactor_run_own(t, OWN_SAVE, error);
    if (status != WARREN_OK) {
        if (t->is_open && transactor_is_lost(t))
            transactor_lose(t, error->text);
        vacate(t);
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
    pthread_mutex_lock(&t->writer->mutex);
    is_empty = t->group.count == 0;
    pthread_mutex_unlock(&t->writer->mutex);
    if (is_empty)
        transactor_close(t, WARREN_ECLOSED);
}

bool transactor_drop(struct transactor *t)
{
    bool failed = transactor_disk_failed(t);

    transactor_guard_leave(&t->guard);
    undo(t, failed ? ROLLED_BACK_BY_DISK : NULL);
    transactor_guard_restore(&t->guard);
    vacate(t);
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
    status = idempotency_add(&t->side.keys, work->claim, true, &work->row, error);
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
    int64_t before = idempotency_next_row(t->store);
    enum warren_status status = look_for_loss(t, error);

    transactor_guard_leave(&t->guard);
    /* All before it left none, so those that there are now are its own. */
    if (status == WARREN_OK && transactor_guard_has_orphans(&t->guard))
        status = error_set(error, WARREN_EINVAL, "%s", TRANSACTOR_ORPHANS);
    if (status == WARREN_OK)
        status = join(t, work, error);
    if (status == WARREN_OK) {
        pthread_mutex_lock(&t->writer->mutex);
        work->state = TRANSACTOR_JOINED;
        works_add(&t->group, &work->work);
        pthread_mutex_unlock(&t->writer->mutex);
        if (t->is_alone)
            status = transactor_commit(t, 0, error);
    } else {
        idempotency_set_next_row(t->store, before);
        undo(t, status == WARREN_EINVAL ? NULL : error->text);
    }
    transactor_guard_restore(&t->guard);
    vacate(t);
    return status;
}
