/* transactor_blame.c - whose fault it is that SQLite refuses something: the store's, which
 * everybody has to wait for, or that of one handler, whose attempt it costs.
 */
#include <sqlite3.h>

#include "store/writer/transactor_private.h"

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

bool transactor_store_failed(struct transactor *t)
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

/* ---- one message in each transaction ---- */

void transactor_suspect(struct transactor *t)
{
    pthread_mutex_lock(&t->mutex);
    t->singly_until_us = transactor_now_us() + SINGLY_US;
    pthread_mutex_unlock(&t->mutex);
}

bool transactor_is_singly(const struct transactor *t)
{
    return t->singly_until_us > transactor_now_us();
}
