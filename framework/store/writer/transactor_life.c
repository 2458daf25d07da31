/* transactor_life.c - a transactor's begin and end, and what can be asked of it at any time. */
#include <stdlib.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/thread.h"
#include "store/writer/transactor_private.h"

static const char *const own_texts[OWN_COUNT] = {
    [OWN_SAVE] = "SAVEPOINT " TRANSACTOR_SAVEPOINT,
    [OWN_UNDO] = "ROLLBACK TO " TRANSACTOR_SAVEPOINT,
    [OWN_RELEASE] = "RELEASE " TRANSACTOR_SAVEPOINT,
    [OWN_COMMIT] = "COMMIT",
};

pid_t transactor_occupant(struct transactor *t)
{
    return atomic_load(&t->occupant);
}

bool transactor_is_abandoned(struct transactor *t)
{
    return atomic_load(&t->abandoned);
}

void transactor_on_appended(struct transactor *t, transactor_appended_fn *appended, void *user)
{
    pthread_mutex_lock(&t->mutex);
    t->appended = appended;
    t->appended_user = user;
    pthread_mutex_unlock(&t->mutex);
}

bool transactor_has_outbox(const struct transactor *t)
{
    return t->spool != NULL;
}

struct sqlite3 *transactor_handle(struct transactor *t)
{
    return database_handle(t->connection.database);
}

void transactor_stats(struct transactor *t, struct transactor_stats *stats)
{
    pthread_mutex_lock(&t->mutex);
    *stats = t->stats;
    pthread_mutex_unlock(&t->mutex);
}

static enum warren_status prepare(struct transactor *t, const struct transactor_options *options,
                                  struct warren_error *error)
{
    enum warren_status status = database_open(&options->database, &t->connection.database, error);

    if (status == WARREN_OK && !database_watch(t->connection.database, "-lock"))
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status == WARREN_OK)
        status = idempotency_rows_prepare(&t->connection, error);
    for (size_t i = 0; status == WARREN_OK && i < OWN_COUNT; i++)
        status = database_prepare(t->connection.database, own_texts[i], &t->own[i], error);
    if (status == WARREN_OK && options->has_outbox)
        status = spool_join(t->connection.database, &t->spool, error);
    if (status == WARREN_OK)
        transactor_guard_init(&t->guard, transactor_handle(t));
    return status;
}

enum warren_status transactor_new(const struct transactor_options *options,
                                  struct idempotency_store *store, struct transactor **ret,
                                  struct warren_error *error)
{
    struct transactor *t = calloc(1, sizeof *t);
    enum warren_status status;

    if (!t)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    t->connection.s = idempotency_sqlite_of(store);
    t->events = options->events;
    t->group_delay_us = options->group_delay_us;
    transactor_group_clear(t);
    pthread_mutex_init(&t->mutex, NULL);
    condition_init(&t->changed);
    status = prepare(t, options, error);
    if (status == WARREN_OK)
        status = thread_start(&t->thread, "warren-commit", transactor_run, t, error);
    if (status != WARREN_OK) {
        transactor_free(t);
        return status;
    }
    t->started = true;
    *ret = t;
    return WARREN_OK;
}

void transactor_stop(struct transactor *t)
{
    if (!t || !t->started)
        return;
    pthread_mutex_lock(&t->mutex);
    t->stopping = true;
    pthread_mutex_unlock(&t->mutex);
    condition_broadcast(&t->changed);
    pthread_join(t->thread, NULL);
    t->started = false;
}

void transactor_free(struct transactor *t)
{
    if (!t)
        return;
    transactor_stop(t);
    if (t->abandoned)
        return;
    for (size_t i = 0; i < OWN_COUNT; i++)
        database_finalize(t->own[i]);
    idempotency_rows_done(&t->connection);
    spool_close(t->spool);
    database_close(t->connection.database);
    condition_done(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
