/* database_open.c - opening a file with care, and closing it. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/input_file.h"
#include "base/private_file.h"
#include "store/db/at_rest.h"
#include "store/db/database_private.h"
#include "store/db/real_name.h"
#include "store/db/schema.h"

/* Each name has a log of its own: who opens the file by another one does not see what is in it, and
 * writes over it. Source: https://www.sqlite.org/howtocorrupt.html, "Multiple links". */
static enum warren_status refuse_names(const struct database *database, struct warren_error *error)
{
    struct stat file;

    if (stat(database->file, &file) != 0 || !S_ISREG(file.st_mode) || file.st_nlink < 2)
        return WARREN_OK;
    return error_set(error, WARREN_ECONFIG,
                     "%s has %ju names (hard links), and a log beside each: processes that open it "
                     "by different names damage it. Remove the other names, or give warren a copy",
                     database->path, (uintmax_t)file.st_nlink);
}

static enum warren_status name_file(struct database *database, const char *path,
                                    struct warren_error *error)
{
    char name[PATH_MAX];

    database->path = strdup(path);
    database->file = strdup(real_name(path, name) ? name : path); /* SQLite will say why */
    if (!database->path || !database->file)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    return refuse_names(database, error);
}

static enum warren_status open_file(struct database *database,
                                    const struct database_options *options,
                                    struct warren_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    char uri[PATH_MAX + 64];
    const char *name = database->file;
    struct stat about;
    int code;

    if ((options->must_exist || options->read_only) && access(options->path, F_OK) != 0 &&
        errno == ENOENT)
        return error_set(error, WARREN_ENOTFOUND, "%s does not exist", options->path);
    if (stat(options->path, &about) == 0 && input_file_wrong(about.st_mode))
        return error_set(error, WARREN_EIO, "%s cannot be opened: %s", options->path,
                         input_file_wrong(about.st_mode));
    if (options->read_only)
        flags |= SQLITE_OPEN_READONLY;
    else
        flags |= SQLITE_OPEN_READWRITE | (options->must_exist ? 0 : SQLITE_OPEN_CREATE);
    /* What cannot be made here is left to SQLite, which says why. */
    if (flags & SQLITE_OPEN_CREATE)
        private_file_make(database->file);
    if (options->read_only && at_rest_uri(database->file, uri, sizeof uri)) {
        flags |= SQLITE_OPEN_URI;
        name = uri;
    }
    code = sqlite3_open_v2(name, &database->sqlite, flags, NULL);
    if (code != SQLITE_OK)
        return database_fail(database, code, "cannot be opened", error);
    /* SQLite opens what it may not write for reading only, and says nothing. */
    if (!options->read_only && sqlite3_db_readonly(database->sqlite, "main") == 1)
        return database_fail(database, SQLITE_READONLY, "cannot be opened", error);
    database->busy_timeout_ms =
        options->busy_timeout_ms > 0 ? options->busy_timeout_ms : DATABASE_BUSY_TIMEOUT_MS;
    sqlite3_busy_timeout(database->sqlite, (int)database->busy_timeout_ms);
    sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return WARREN_OK;
}

static enum warren_status set_wal(struct database *database, struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = WARREN_OK;
    int code =
        sqlite3_prepare_v2(database->sqlite, "PRAGMA journal_mode = WAL", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        status = database_fail(database, code, "cannot be opened", error);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
        status = error_set(error, WARREN_EIO,
                           "%s: its file system does not allow a write-ahead log; is it a network "
                           "disk? Choose a local one",
                           database->path);
    sqlite3_finalize(statement);
    return status;
}

static enum warren_status configure(struct database *database,
                                    const struct database_options *options,
                                    struct warren_error *error)
{
    char sql[64];
    enum warren_status status = database_run(database, "PRAGMA temp_store = MEMORY", error);

    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit = %" PRId64, DATABASE_LOG_MAX);
    if (status == WARREN_OK)
        status = database_run(database, sql, error);
    if (status == WARREN_OK)
        status = database_set_synchronous(database, options->synchronous, error);
    if (status != WARREN_OK || options->cache_bytes == 0)
        return status;
    snprintf(sql, sizeof sql, "PRAGMA cache_size = -%zu", options->cache_bytes / 1024);
    return database_run(database, sql, error);
}

/* By now SQLite has made the log and its index. */
static enum warren_status watch(struct database *database, struct warren_error *error)
{
    if (database_watch_all(database))
        return WARREN_OK;
    return error_set(error, WARREN_ENOMEM, "out of memory");
}

/* Whoever reads a file with a log needs shared memory beside it. */
static void blame_folder(struct database *database, struct warren_error *error)
{
    int code = sqlite3_errcode(database->sqlite) & 0xff;
    int number = at_rest_folder_error(database->file);

    if (number != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY))
        error_set(error, WARREN_EIO,
                  "%s: cannot be read: a -wal file lies beside it, and its folder may not be "
                  "written (%s), which SQLite then needs: copy both to another folder",
                  database->path, strerror(number));
}

static enum warren_status prepare_file(struct database *database,
                                       const struct database_options *options,
                                       struct warren_error *error)
{
    int64_t version;
    /* First of all, so that nothing is changed in a file that is not ours. */
    enum warren_status status = schema_look(database, &version, error);

    if (status == WARREN_EIO && options->read_only)
        blame_folder(database, error);
    if (status == WARREN_OK && options->read_only && version == 0)
        return error_set(error, WARREN_ECONFIG, "%s is empty: it is no database of warren",
                         database->path);
    if (status != WARREN_OK || options->read_only)
        return status;
    status = set_wal(database, error);
    if (status == WARREN_OK)
        status = configure(database, options, error);
    if (status == WARREN_OK && version < schema_newest())
        status = schema_migrate(database, error);
    return status;
}

enum warren_status database_open(const struct database_options *options,
                                 struct database **ret_database, struct warren_error *error)
{
    struct database *database = calloc(1, sizeof *database);
    struct database_open_files before;
    enum warren_status status;

    if (!database)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    database->beside = options->beside;
    status = name_file(database, options->path, error);
    if (status == WARREN_OK) {
        database_list_descriptors(database->file, &before);
        status = open_file(database, options, error);
    }
    if (status == WARREN_OK)
        status = prepare_file(database, options, error);
    if (status == WARREN_OK && !options->read_only)
        status = watch(database, error);
    if (status == WARREN_OK && !options->read_only)
        database_add_descriptors(database, &before);
    if (status != WARREN_OK) {
        database_close(database);
        return status;
    }
    *ret_database = database;
    return WARREN_OK;
}

void database_close(struct database *database)
{
    if (!database)
        return;
    database_part(database);
    database_remove_descriptors(database);
    sqlite3_close_v2(database->sqlite);
    free(database->file);
    free(database->path);
    free(database);
}
