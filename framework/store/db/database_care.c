/* database_care.c - checking, measuring and copying a database. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/db/database.h"

/* ---- how much is in a file, for people ---- */

enum warren_status census_take(struct database *database, struct census *census,
                               struct warren_error *error)
{
    const struct {
        const char *sql;
        int64_t *number;
    } questions[] = {
        {"SELECT count(*) FROM done", &census->done},
        {"SELECT coalesce((SELECT at FROM done ORDER BY id LIMIT 1), 0)", &census->oldest_ms},
        {"SELECT coalesce((SELECT at FROM done ORDER BY id DESC LIMIT 1), 0)", &census->newest_ms},
        {"SELECT count(*) FROM claim", &census->claimed},
        {"SELECT count(*) FROM spool", &census->spooled},
    };
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < sizeof questions / sizeof *questions; i++)
        status = database_number(database, questions[i].sql, questions[i].number, error);
    return status;
}

/* ---- check ---- */

enum warren_status database_check(struct database *database, database_fault_fn *on_fault,
                                  void *user, unsigned *ret_faults, struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = WARREN_OK;
    int code = sqlite3_prepare_v2(database_handle(database), "PRAGMA integrity_check(100)", -1,
                                  &statement, NULL);

    *ret_faults = 0;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            const char *line = (const char *)sqlite3_column_text(statement, 0);

            if (line && strcmp(line, "ok") == 0)
                continue;
            ++*ret_faults;
            on_fault(user, line ? line : "a fault without words");
        }
    }
    if ((code & 0xff) == SQLITE_CORRUPT) { /* so much so that it could not be read to the end */
        ++*ret_faults;
        on_fault(user, sqlite3_errmsg(database_handle(database)));
    } else if (code != SQLITE_DONE) {
        status = database_fail(database, code, "cannot be read", error);
    }
    sqlite3_finalize(statement);
    return status;
}

enum warren_status database_size(struct database *database, struct database_size *size,
                                 struct warren_error *error)
{
    char wal[PATH_MAX];
    struct stat info;
    int64_t page_size = 0;
    enum warren_status status = database_number(database, "PRAGMA page_size", &page_size, error);

    *size = (struct database_size){0, 0, 0, 0};
    if (status == WARREN_OK)
        status = database_number(database, "PRAGMA page_count", &size->file, error);
    if (status == WARREN_OK)
        status = database_number(database, "PRAGMA freelist_count", &size->unused, error);
    if (status == WARREN_OK)
        status = database_number(database, "SELECT max(version) FROM warren_schema", &size->version,
                                 error);
    size->file *= page_size;
    size->unused *= page_size;
    if (snprintf(wal, sizeof wal, "%s-wal", database_file(database)) < (int)sizeof wal &&
        stat(wal, &info) == 0)
        size->wal = info.st_size;
    return status;
}

/* ---- copy ---- */

static enum warren_status cannot_write(const char *path, struct warren_error *error)
{
    return error_set(error, errno == ENOSPC ? WARREN_EFULL : WARREN_EIO, "%s: cannot write: %s",
                     path, strerror(errno));
}

/* All in one step: a snapshot is read, so writers go on and do not make it begin anew. */
static enum warren_status copy(struct database *database, const char *to,
                               struct warren_error *error)
{
    struct sqlite3 *target = NULL;
    enum warren_status status = WARREN_OK;
    sqlite3_backup *backup;
    int code = sqlite3_open_v2(
        to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (code == SQLITE_OK) {
        backup = sqlite3_backup_init(target, "main", database_handle(database), "main");
        if (backup) {
            sqlite3_backup_step(backup, -1);
            code = sqlite3_backup_finish(backup);
        } else {
            code = sqlite3_errcode(target);
        }
    }
    if (code != SQLITE_OK)
        status = error_set(error, (code & 0xff) == SQLITE_FULL ? WARREN_EFULL : WARREN_EIO,
                           "cannot copy %s to %s: %s", database_path(database), to,
                           sqlite3_errstr(code & 0xff));
    sqlite3_close_v2(target);
    return status;
}

/* The name appears only when the copy is whole and on disk. */
static enum warren_status publish(const char *part, const char *to, struct warren_error *error)
{
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    int synced = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    if (synced != 0)
        return cannot_write(part, error);
    if (renameat2(AT_FDCWD, part, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return WARREN_OK;
    if (errno == EEXIST)
        return error_set(error, WARREN_EINVAL, "%s exists already; it is not overwritten", to);
    return cannot_write(to, error);
}

enum warren_status database_backup(struct database *database, const char *to,
                                   struct warren_error *error)
{
    char part[PATH_MAX];
    struct stat info;
    enum warren_status status;
    int fd;

    if (snprintf(part, sizeof part, "%s.XXXXXX", to) >= (int)sizeof part)
        return error_set(error, WARREN_EINVAL, "%.64s...: the name is too long", to);
    if (lstat(to, &info) == 0)
        return error_set(error, WARREN_EINVAL, "%s exists already; it is not overwritten", to);
    fd = mkostemp(part, O_CLOEXEC);
    if (fd < 0)
        return cannot_write(to, error);
    close(fd);
    status = copy(database, part, error);
    if (status == WARREN_OK)
        status = publish(part, to, error);
    if (status != WARREN_OK)
        unlink(part);
    return status;
}
