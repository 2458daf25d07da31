/* transactor.c - see transactor.h. */
#include "store/transactor.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/thread.h"
#include "store/idempotency_sqlite_private.h"
#include "store/transactor_guard.h"
#include "store/turn.h"

/* A group of so many means that there is load: the next one is worth waiting for. */
#define LOAD_MIN 4
/* So many do not wait for more. */
#define GROUP_GOOD 256

enum own_statement { SAVE, UNDO, RELEASE, COMMIT, OWN_COUNT };

static const char *const own_texts[OWN_COUNT] = {
    [SAVE] = "SAVEPOINT " TRANSACTOR_SAVEPOINT,
    [UNDO] = "ROLLBACK TO " TRANSACTOR_SAVEPOINT,
    [RELEASE] = "RELEASE " TRANSACTOR_SAVEPOINT,
    [COMMIT] = "COMMIT",
};

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
    pthread_cond_t changed;
    transactor_appended_fn *appended;
    void *appended_user;
    bool busy;  /* somebody uses the connection */
    bool wants; /* the thread is about to commit: nobody else shall enter */
    bool stopping;
    bool is_failing;
    struct transactor_work *group;
    struct transactor_work **group_last;
    size_t group_count;
    struct transactor_stats stats;

    /* of who is busy */
    bool is_open; /* a transaction is begun, and with it the turn taken */
    int64_t next_row;
    size_t last_group; /* the thread's */
};

static int64_t now_us(void)
{
    return clock_now_ns(clock_monotonic()) / 1000;
}

/* Under the mutex. @return false: the time came first */
static bool wait_until(struct transactor *t, int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

    return pthread_cond_timedwait(&t->changed, &t->mutex, &until) == 0 || now_us() < until_us;
}

/* ---- the group ---- */

static void group_clear(struct transactor *t)
{
    t->group = NULL;
    t->group_last = &t->group;
    t->group_count = 0;
}

static void group_add(struct transactor *t, struct transactor_work *work)
{
    work->next = NULL;
    work->state = TRANSACTOR_JOINED;
    *t->group_last = work;
    t->group_last = &work->next;
    t->group_count++;
}

/* All of the group have this fate; those that are awaited are told of it. Not under the mutex. */
static void decide(struct transactor *t, struct transactor_work *group, enum warren_status status)
{
    struct transactor_work *told = NULL;
    struct transactor_work **last = &told;

    pthread_mutex_lock(&t->mutex);
    while (group) {
        struct transactor_work *work = group;

        group = work->next;
        work->status = status;
        if (work->state == TRANSACTOR_AWAITED) {
            work->next = NULL;
            *last = work;
            last = &work->next;
        }
        work->state = TRANSACTOR_DECIDED;
    }
    pthread_mutex_unlock(&t->mutex);
    while (told) {
        struct transactor_work *work = told;

        told = work->next;
        work->decided(work, status);
    }
}

bool transactor_await(struct transactor *t, struct transactor_work *work,
                      enum warren_status *ret_status)
{
    bool is_decided;

    pthread_mutex_lock(&t->mutex);
    is_decided = work->state == TRANSACTOR_DECIDED;
    *ret_status = work->status;
    if (!is_decided)
        work->state = TRANSACTOR_AWAITED;
    pthread_mutex_unlock(&t->mutex);
    return is_decided;
}

/* ---- success and failure, as an operator sees them ---- */

static void note(struct transactor *t, enum warren_status status, const char *text, size_t count)
{
    bool is_news;

    pthread_mutex_lock(&t->mutex);
    is_news = t->is_failing != (status != WARREN_OK);
    t->is_failing = status != WARREN_OK;
    if (status != WARREN_OK)
        t->stats.failures++;
    pthread_mutex_unlock(&t->mutex);
    if (!is_news)
        return;
    if (status != WARREN_OK && t->events.failed)
        t->events.failed(t->events.user, text, count);
    else if (status == WARREN_OK && t->events.recovered)
        t->events.recovered(t->events.user);
}

/* ---- the transaction: of who is busy ---- */

static enum warren_status run_own(struct transactor *t, enum own_statement which,
                                  struct warren_error *error)
{
    return database_step(t->connection.database, t->own[which], error);
}

static enum warren_status open_transaction(struct transactor *t, struct warren_error *error)
{
    enum warren_status status = idempotency_begin(&t->connection, error);

    if (status != WARREN_OK)
        return status;
    t->is_open = true;
    t->next_row = t->connection.s->next_row;
    return WARREN_OK;
}

static struct transactor_work *take_group(struct transactor *t)
{
    struct transactor_work *group;

    pthread_mutex_lock(&t->mutex);
    group = t->group;
    group_clear(t);
    pthread_mutex_unlock(&t->mutex);
    return group;
}

/* Under the mutex, so that it is not told any more once it said so. */
static void tell_appended(struct transactor *t, const struct transactor_work *group)
{
    int64_t messages = 0;
    int64_t bytes = 0;
    int64_t last_id = 0;

    for (; group; group = group->next) {
        messages += group->outbox.messages;
        bytes += group->outbox.bytes;
        if (group->outbox.last_id > last_id)
            last_id = group->outbox.last_id;
    }
    pthread_mutex_lock(&t->mutex);
    if (messages > 0 && t->appended)
        t->appended(t->appended_user, messages, bytes, last_id);
    pthread_mutex_unlock(&t->mutex);
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

/* It is committed, or else everything is undone. Not under the mutex. */
static void close_transaction(struct transactor *t, enum warren_status status)
{
    struct idempotency_sqlite *s = t->connection.s;
    struct transactor_work *group = take_group(t);

    if (status == WARREN_OK) {
        for (struct transactor_work *work = group; work; work = work->next)
            if (work->claim)
                idempotency_added(s, work->claim, work->row);
    } else {
        s->next_row = t->next_row;
    }
    t->is_open = false;
    idempotency_end(&t->connection);
    if (status == WARREN_OK)
        tell_appended(t, group);
    decide(t, group, status);
}

/* A failure such as a full disk makes SQLite roll everything back, what others wrote included. */
static bool is_lost(struct transactor *t)
{
    return sqlite3_get_autocommit(transactor_handle(t)) != 0;
}

static void lose(struct transactor *t, const char *text)
{
    note(t, WARREN_EIO, text, t->group_count);
    close_transaction(t, WARREN_EIO);
}

/* ---- one at a time ---- */

static enum warren_status occupy(struct transactor *t, int64_t wait_ms, struct warren_error *error)
{
    int64_t until_us = wait_ms < INT32_MAX ? now_us() + wait_ms * 1000 : INT64_MAX / 1000;
    enum warren_status status = WARREN_OK;

    pthread_mutex_lock(&t->mutex);
    while (status == WARREN_OK && !t->stopping && (t->busy || t->wants))
        if (!wait_until(t, until_us))
            status = error_set(error, WARREN_ETIMEOUT,
                               "%s: other handlers had the transaction all the time",
                               database_path(t->connection.database));
    if (status == WARREN_OK && t->stopping)
        status = error_set(error, WARREN_ECLOSED, "the store is closed");
    if (status == WARREN_OK)
        t->busy = true;
    pthread_mutex_unlock(&t->mutex);
    return status;
}

static void vacate(struct transactor *t)
{
    pthread_mutex_lock(&t->mutex);
    t->busy = false;
    pthread_mutex_unlock(&t->mutex);
    pthread_cond_broadcast(&t->changed);
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
        status = open_transaction(t, error);
        if (status != WARREN_OK)
            note(t, status, error->text, 0);
    }
    if (status == WARREN_OK)
        status = run_own(t, SAVE, error);
    if (status != WARREN_OK) {
        if (t->is_open && is_lost(t))
            lose(t, error->text);
        vacate(t);
        return status;
    }
    work->transactor = t;
    work->outbox = (struct warren_outbox){.append = append};
    transactor_guard_enter(&t->guard);
    return WARREN_OK;
}

/* Undo what the handler did; a transaction of nobody ends. */
static void undo(struct transactor *t, const char *text)
{
    struct warren_error error = {WARREN_OK, ""};
    bool is_empty;

    if (is_lost(t) || run_own(t, UNDO, &error) != WARREN_OK ||
        run_own(t, RELEASE, &error) != WARREN_OK) {
        lose(t, error.text[0] ? error.text : text);
        return;
    }
    pthread_mutex_lock(&t->mutex);
    is_empty = t->group_count == 0;
    pthread_mutex_unlock(&t->mutex);
    if (is_empty)
        close_transaction(t, WARREN_ECLOSED);
}

/* What the last call that a handler made was told. */
static bool disk_failed(struct transactor *t)
{
    switch (sqlite3_errcode(transactor_handle(t)) & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
        return true;
    default:
        return is_lost(t);
    }
}

bool transactor_drop(struct transactor *t)
{
    bool failed = disk_failed(t);

    transactor_guard_leave(&t->guard);
    undo(t, "what a handler did made SQLite roll the transaction back");
    vacate(t);
    return !failed;
}

static enum warren_status add_key(struct transactor *t, struct transactor_work *work,
                                  struct warren_error *error)
{
    enum warren_status status;

    work->row = 0;
    if (is_lost(t))
        return error_set(error, WARREN_EIO,
                         "what the handler did made SQLite roll the transaction back");
    if (!work->claim)
        return WARREN_OK;
    status = idempotency_add(&t->connection, work->claim, true, &work->row, error);
    if (status == WARREN_OK && work->claim->overtaken)
        return error_set(error, WARREN_ECLOSED, "another process has taken the message over");
    return status;
}

enum warren_status transactor_leave(struct transactor *t, struct transactor_work *work,
                                    struct warren_error *error)
{
    int64_t before = t->connection.s->next_row;
    enum warren_status status;

    transactor_guard_leave(&t->guard);
    status = add_key(t, work, error);
    if (status == WARREN_OK)
        status = run_own(t, RELEASE, error);
    if (status == WARREN_OK) {
        pthread_mutex_lock(&t->mutex);
        group_add(t, work);
        pthread_mutex_unlock(&t->mutex);
    } else {
        t->connection.s->next_row = before;
        undo(t, error->text);
    }
    vacate(t);
    return status;
}

/* ---- the thread that commits ---- */

/* Under the mutex: until there is something to commit and nobody is in it. @return false: the end
 */
static bool gather(struct transactor *t)
{
    int64_t until_us;

    while (t->group_count == 0 && !t->stopping)
        pthread_cond_wait(&t->changed, &t->mutex);
    until_us = now_us() + t->group_delay_us;
    if (t->last_group >= LOAD_MIN)
        while (t->group_count < GROUP_GOOD && !t->stopping &&
               !turn_is_wanted(database_turn(t->connection.database)))
            if (!wait_until(t, until_us))
                break;
    t->wants = true;
    while (t->busy)
        pthread_cond_wait(&t->changed, &t->mutex);
    t->wants = false;
    if (t->group_count == 0)
        return !t->stopping;
    t->busy = true;
    return true;
}

static void commit(struct transactor *t)
{
    struct warren_error error = {WARREN_OK, ""};
    size_t count = t->group_count;
    enum warren_status status = run_own(t, COMMIT, &error);

    note(t, status, error.text, count);
    pthread_mutex_lock(&t->mutex);
    if (status == WARREN_OK) {
        t->stats.committed += count;
        t->stats.groups++;
    }
    pthread_mutex_unlock(&t->mutex);
    t->last_group = count;
    close_transaction(t, status);
    vacate(t);
}

static void *run(void *arg)
{
    struct transactor *t = arg;
    bool goes_on = true;

    while (goes_on) {
        bool has_group;

        pthread_mutex_lock(&t->mutex);
        goes_on = gather(t);
        has_group = t->busy && t->group_count > 0;
        pthread_mutex_unlock(&t->mutex);
        if (goes_on && has_group)
            commit(t);
        else
            pthread_cond_broadcast(&t->changed);
    }
    return NULL;
}

/* ---- life ---- */

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
    pthread_condattr_t attributes;
    enum warren_status status;

    if (!t)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    t->connection.s = idempotency_sqlite_of(store);
    t->events = options->events;
    t->group_delay_us = options->group_delay_us;
    group_clear(t);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    status = prepare(t, options, error);
    if (status == WARREN_OK)
        status = thread_start(&t->thread, "warren-commit", run, t, error);
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
    pthread_cond_broadcast(&t->changed);
    pthread_join(t->thread, NULL);
    t->started = false;
}

void transactor_free(struct transactor *t)
{
    if (!t)
        return;
    transactor_stop(t);
    for (size_t i = 0; i < OWN_COUNT; i++)
        database_finalize(t->own[i]);
    idempotency_rows_done(&t->connection);
    spool_close(t->spool);
    database_close(t->connection.database);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
