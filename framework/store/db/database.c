/* database.c - working with a file. Opening: database_open.c; care: database_care.c. */
#include "store/db/database_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/ascii.h"
#include "base/error.h"

static const char *const synchronous_words[] = {"off", "normal", "full"};

bool database_synchronous_parse(const char *word, enum database_synchronous *ret)
{
    for (int i = DATABASE_OFF; i <= DATABASE_FULL; i++)
        if (ascii_same(word, synchronous_words[i])) {
            *ret = (enum database_synchronous)i;
            return true;
        }
    return false;
}

struct sqlite3 *database_handle(struct database *database)
{
    return database->sqlite;
}

const char *database_path(const struct database *database)
{
    return database->path;
}

const char *database_file(const struct database *database)
{
    return database->file;
}

/* ---- what went wrong ---- */

/* SQLite tries again for reading only, and so forgets why writing was refused. */
static int why_not_opened(const char *path)
{
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    return errno == ENOENT ? at_rest_folder_error(path) : errno;
}

/* The operating system's own words say more than SQLite's "unable to open database file". */
static const char *reason(struct database *database, int code)
{
    int number = 0;

    if ((code & 0xff) == SQLITE_CANTOPEN)
        number = why_not_opened(database->file);
    if (number == 0 && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR))
        number = sqlite3_system_errno(database->sqlite);
    return number ? strerror(number) : sqlite3_errstr(code & 0xff);
}

static enum warren_status damaged(struct database *database, const char *what,
                                  struct warren_error *error)
{
    return error_set(error, WARREN_EIO,
                     "%s %s; it is left as it is. Put a backup in its place, or move it away "
                     "together with %s-wal to begin anew: then what was done before is not "
                     "remembered, and what was spooled is not sent",
                     database->path, what, database->file);
}

enum warren_status database_fail(struct database *database, int code, const char *doing,
                                 struct warren_error *error)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, WARREN_ETIMEOUT, "%s: %s: another process keeps it locked",
                         database->path, doing);
    case SQLITE_FULL:
        return error_set(error, WARREN_EFULL, "%s: %s: no space left for it", database->path,
                         doing);
    case SQLITE_NOMEM:
        return error_set(error, WARREN_ENOMEM, "%s: %s: out of memory", database->path, doing);
    case SQLITE_READONLY:
        return error_set(error, WARREN_EIO,
                         "%s: %s: it is on a read-only disk, or may not be "
                         "written",
                         database->path, doing);
    case SQLITE_NOTADB:
        return damaged(database, "is no SQLite database, or its beginning is damaged", error);
    case SQLITE_CORRUPT:
        return damaged(database, "is damaged", error);
    default:
        /* A full disk is an I/O error to SQLite where the file must grow to be mapped. */
        if ((code & 0xff) == SQLITE_IOERR && sqlite3_system_errno(database->sqlite) == ENOSPC)
            return error_set(error, WARREN_EFULL, "%s: %s: no space left for it", database->path,
                             doing);
        return error_set(error, WARREN_EIO, "%s: %s: %s", database->path, doing,
                         reason(database, code));
    }
}

/* ---- work ---- */

enum warren_status database_prepare(struct database *database, const char *sql,
                                    struct sqlite3_stmt **ret_statement, struct warren_error *error)
{
    int code = sqlite3_prepare_v3(database->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  ret_statement, NULL);

    return code == SQLITE_OK ? WARREN_OK : database_fail(database, code, "cannot be read", error);
}

void database_finalize(struct sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
}

enum warren_status database_run(struct database *database, const char *sql,
                                struct warren_error *error)
{
    int code = sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? WARREN_OK
                             : database_fail(database, code, "cannot be written", error);
}

enum warren_status database_step(struct database *database, struct sqlite3_stmt *statement,
                                 struct warren_error *error)
{
    int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    if (code == SQLITE_DONE || code == SQLITE_ROW)
        return WARREN_OK;
    return database_fail(database, code, "cannot be written", error);
}

enum warren_status database_number(struct database *database, const char *sql, int64_t *ret,
                                   struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = WARREN_OK;
    int code = sqlite3_prepare_v2(database->sqlite, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else
        status = database_fail(database, code, "cannot be read", error);
    sqlite3_finalize(statement);
    return status;
}

enum warren_status database_begin(struct database *database, struct warren_error *error)
{
    return database_run(database, "BEGIN IMMEDIATE", error);
}

enum warren_status database_commit(struct database *database, struct warren_error *error)
{
    enum warren_status status = database_run(database, "COMMIT", error);

    if (status != WARREN_OK)
        database_rollback(database);
    else
        database_rescue(database);
    return status;
}

void database_rollback(struct database *database)
{
    if (!sqlite3_get_autocommit(database->sqlite))
        sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL);
    database_rescue(database);
}

enum warren_status database_set_synchronous(struct database *database,
                                            enum database_synchronous synchronous,
                                            struct warren_error *error)
{
    static const char *const texts[] = {"PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL",
                                        "PRAGMA synchronous = FULL"};
    enum warren_status status;

    if (database->is_set && database->synchronous == synchronous)
        return WARREN_OK;
    status = database_run(database, texts[synchronous], error);
    database->is_set = status == WARREN_OK;
    database->synchronous = synchronous;
    return status;
}

const char *database_library_version(void)
{
    return sqlite3_libversion();
}
