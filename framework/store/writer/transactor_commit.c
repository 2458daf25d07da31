/* transactor_commit.c - the group of handlers, and its transaction; whose fault it is that SQLite
 * refuses something: the store's, which everybody has to wait for, or that of one handler, whose
 * attempt it costs.
 */
#include <sqlite3.h>

#include "base/log.h"
#include "store/writer/writer_private.h"

/* ---- the group ---- */

void transactor_group_clear(struct transactor *t)
{
    t->group = NULL;
    t->group_last = &t->group;
    t->group_count = 0;
}

void transactor_group_add(struct transactor *t, struct transactor_work *work)
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

    pthread_mutex_lock(&t->writer->mutex);
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
    pthread_mutex_unlock(&t->writer->mutex);
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

    for (struct list *link = t->writer->clients.next; link != &t->writer->clients;
         link = link->next) {
        const struct writer_client *client = list_entry(link, struct writer_client, link);

        if (client->synchronous > highest)
            highest = client->synchronous;
    }
    if (status == WARREN_OK)
        status = writer_begin(t->writer, &t->side, highest, error);
    if (status != WARREN_OK)
        return status;
    t->is_open = true;
    t->guard.is_lost = false;
    return WARREN_OK;
}

static struct transactor_work *take_group(struct transactor *t)
{
    struct transactor_work *group;

    pthread_mutex_lock(&t->writer->mutex);
    group = t->group;
    transactor_group_clear(t);
    pthread_mutex_unlock(&t->writer->mutex);
    return group;
}

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
    for (struct list *link = t->writer->clients.next; messages > 0 && link != &t->writer->clients;
         link = link->next) {
        struct writer_client *client = list_entry(link, struct writer_client, link);

        if (client->appended)
            client->appended(client, messages, bytes, last_id);
    }
}

void transactor_close(struct transactor *t, enum warren_status status)
{
    struct transactor_work *group = take_group(t);

    for (struct transactor_work *work = group; work && status == WARREN_OK; work = work->next)
        if (work->claim)
            idempotency_added(t->store, work->claim, work->row);
    t->is_open = false;
    database_rollback(t->side.database); /* what was not committed */
    if (status == WARREN_OK)
        tell_appended(t, group);
    decide(t, group, status);
}

bool transactor_is_lost(struct transactor *t)
{
    /* A handler may have put a hook of its own in the place of the guard's. */
    return t->guard.is_lost || (t->is_open && sqlite3_get_autocommit(transactor_handle(t)));
}

void transactor_lose(struct transactor *t, const char *text)
{
    if (text)
        writer_note(t->writer, t->client, WARREN_EIO, text, t->group_count);
    transactor_close(t, WARREN_EIO);
}

/* The transaction is left to its thread; the next process finds it rolled back. */
void transactor_abandon(struct transactor *t)
{
    struct writer *w = t->writer;

    pthread_mutex_lock(&w->mutex);
    w->abandoned = t->stopping = true;
    writer_wake(w);
    pthread_mutex_unlock(&w->mutex);
    condition_broadcast(&w->changed);
    decide(t, take_group(t), WARREN_ECLOSED);
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

/* Not the store's failure: an operator hears of it by the attempts that it costs. */
static void blame_group(struct transactor *t, size_t count, const char *text)
{
    transactor_suspect(t);
    if (count > 1)
        log_warn("%zu messages are handled again, each in a transaction of its own: that of all "
                 "was refused for what one of them wrote: %s",
                 count, text);
}

enum warren_status transactor_commit(struct transactor *t, struct warren_error *error)
{
    size_t count = t->group_count;
    enum warren_status status = database_in_place(t->side.database, error);
    bool is_tried = status == WARREN_OK;

    if (is_tried)
        status = transactor_run_own(t, OWN_COMMIT, error);
    if (is_tried && status != WARREN_OK && !store_failed(t)) {
        status = WARREN_EINVAL;
        blame_group(t, count, error->text);
    } else {
        writer_note(t->writer, t->client, status, error->text, count);
    }
    if (status == WARREN_OK)
        atomic_fetch_add(&t->writer->commits, 1);
    transactor_close(t, status);
    return status;
}
