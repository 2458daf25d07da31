/* transactor_commit.c - the group of handlers, and its transaction; whose fault it is that SQLite
 * refuses something: the store's, which everybody has to wait for, or that of one handler, whose
 * attempt it costs.
 */
#include <sqlite3.h>

#include "base/log.h"
#include "store/writer/writer_private.h"

/* ---- the group ---- */

static struct transactor_work *handled(struct writer_work *work)
{
    return (struct transactor_work *)(void *)work;
}

/* All of the group have this fate; for those that are awaited `decided` is called. Not under the
 * mutex. */
static void decide(struct transactor *t, struct works *group, enum warren_status status)
{
    struct writer_work *work;
    struct works told;

    works_init(&told);
    pthread_mutex_lock(&t->writer->mutex);
    while ((work = works_pop(group))) {
        if (handled(work)->state == TRANSACTOR_AWAITED)
            works_add(&told, work);
        handled(work)->status = status;
        handled(work)->state = TRANSACTOR_DECIDED;
    }
    pthread_mutex_unlock(&t->writer->mutex);
    while ((work = works_pop(&told)))
        handled(work)->decided(handled(work), status);
}

bool transactor_await(struct transactor *t, struct transactor_work *work,
                      enum warren_status *ret_status)
{
    bool is_decided;

    pthread_mutex_lock(&t->writer->mutex);
    is_decided = work->state == TRANSACTOR_DECIDED;
    *ret_status = work->status;
    if (!is_decided)
        work->state = TRANSACTOR_AWAITED;
    pthread_mutex_unlock(&t->writer->mutex);
    return is_decided;
}

/* ---- the transaction: of who is busy ---- */

enum warren_status transactor_run_own(struct transactor *t, enum own_statement which,
                                      struct warren_error *error)
{
    return database_step(t->side.database, t->own[which], error);
}

/* Whoever has the file may join it, so it is as strict as the strictest wants. */
enum warren_status transactor_open(struct transactor *t, struct warren_error *error)
{
    enum database_synchronous highest = DATABASE_OFF;
    enum warren_status status = database_in_place(t->side.database, error);

    for (size_t i = 0; i < t->writer->client_count; i++)
        if (t->writer->clients[i]->synchronous > highest)
            highest = t->writer->clients[i]->synchronous;
    if (status == WARREN_OK)
        status = writer_begin(t->writer, &t->side, highest, error);
    if (status != WARREN_OK)
        return status;
    t->is_open = true;
    t->guard.is_lost = false;
    return WARREN_OK;
}

static void take_group(struct transactor *t, struct works *group)
{
    works_init(group);
    pthread_mutex_lock(&t->writer->mutex);
    works_move(group, &t->group);
    pthread_mutex_unlock(&t->writer->mutex);
}

/* It is committed. */
static void count_in(struct transactor *t, const struct works *group)
{
    struct writer *w = t->writer;
    int64_t messages = 0;
    int64_t bytes = 0;
    int64_t last_id = 0;

    for (struct writer_work *work = group->first; work; work = work->next) {
        const struct transactor_work *one = handled(work);

        if (one->claim)
            idempotency_added(t->store, one->claim, one->row);
        messages += one->outbox.messages;
        bytes += one->outbox.bytes;
        last_id = one->outbox.messages > 0 ? one->outbox.last_id : last_id;
    }
    for (size_t i = 0; messages > 0 && i < w->client_count; i++)
        if (w->clients[i]->appended)
            w->clients[i]->appended(w->clients[i], messages, bytes, last_id);
}

void transactor_close(struct transactor *t, enum warren_status status)
{
    struct works group;

    take_group(t, &group);
    t->is_open = false;
    database_rollback(t->side.database); /* what was not committed */
    if (status == WARREN_OK)
        count_in(t, &group);
    decide(t, &group, status);
}

bool transactor_is_lost(struct transactor *t)
{
    /* A handler may have put a hook of its own in the place of the guard's. */
    return t->guard.is_lost || (t->is_open && sqlite3_get_autocommit(transactor_handle(t)));
}

void transactor_lose(struct transactor *t, const char *text)
{
    if (text)
        writer_note(t->writer, t->client, WARREN_EIO, text, t->group.count);
    transactor_close(t, WARREN_EIO);
}

/* The transaction is left to its thread; the next process finds it rolled back. */
void transactor_abandon(struct transactor *t)
{
    struct writer *w = t->writer;
    struct works group;

    pthread_mutex_lock(&w->mutex);
    w->abandoned = t->stopping = true;
    writer_wake(w);
    pthread_mutex_unlock(&w->mutex);
    condition_broadcast(&w->changed);
    take_group(t, &group);
    decide(t, &group, WARREN_ECLOSED);
}

/* ---- whose fault it is ---- */

void transactor_blame_begin(struct transactor *t)
{
    int spilled;
    int highest;

    sqlite3_db_status(transactor_handle(t), SQLITE_DBSTATUS_CACHE_SPILL, &spilled, &highest, 1);
}

/* Within a transaction pages go to the disk only where memory has no room for them. */
static bool has_spilled(struct sqlite3 *sqlite)
{
    int spilled = 0;
    int highest;

    sqlite3_db_status(sqlite, SQLITE_DBSTATUS_CACHE_SPILL, &spilled, &highest, 0);
    return spilled > 0;
}

/* Want of memory is not among them: it may be what the handler asked for. */
bool transactor_disk_failed(struct transactor *t)
{
    struct sqlite3 *sqlite = transactor_handle(t);
    int code = sqlite3_extended_errcode(sqlite);

    switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_NOTADB:
        return true;
    case SQLITE_CORRUPT: /* a full-text index of the handler's own says so, too */
        return code != SQLITE_CORRUPT_VTAB;
    case SQLITE_FULL: /* so does a table whose AUTOINCREMENT has come to its end */
        return has_spilled(sqlite);
    default:
        return false;
    }
}

/* The same of a call of the transactor's own: of the store, or of what handlers wrote? */
static bool store_failed(struct transactor *t)
{
    int code = sqlite3_extended_errcode(transactor_handle(t));

    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_ABORT:
    case SQLITE_INTERRUPT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_AUTH:
        return false;
    default:
        return code != SQLITE_CORRUPT_VTAB;
    }
}

void transactor_suspect(struct transactor *t)
{
    pthread_mutex_lock(&t->writer->mutex);
    t->singly_until_us = writer_now_us() + SINGLY_US;
    pthread_mutex_unlock(&t->writer->mutex);
}

bool transactor_is_singly(const struct transactor *t)
{
    return t->singly_until_us > writer_now_us();
}

/* ---- commit ---- */

/* Not the store's failure: the operator sees it by the attempts that it costs. */
static void blame_group(struct transactor *t, size_t count, const char *text)
{
    transactor_suspect(t);
    if (count > 1)
        log_warn("%zu messages are handled again, each in a transaction of its own: that of all "
                 "was refused for what one of them wrote: %s",
                 count, text);
}

enum warren_status transactor_commit(struct transactor *t, size_t works, struct warren_error *error)
{
    size_t count = t->group.count;
    enum warren_status status = database_in_place(t->side.database, error);
    bool is_tried = status == WARREN_OK;
    int64_t begun_ns = clock_now_ns(clock_monotonic());

    if (is_tried)
        status = transactor_run_own(t, OWN_COMMIT, error);
    if (is_tried && status != WARREN_OK && !store_failed(t)) {
        status = WARREN_EINVAL;
        blame_group(t, count, error->text);
    } else {
        writer_note(t->writer, t->client, status, error->text, count);
    }
    if (status == WARREN_OK) {
        atomic_fetch_add(&t->writer->commits, 1);
        writer_metrics_committed(t->writer, count + works, begun_ns);
    }
    transactor_close(t, status);
    return status;
}
