/* database_open.c - opening a file with care, and closing it. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/input_file.h"
#include "store/db/database_private.h"

/* ---- files at rest: nobody can be writing them, on a medium or in a folder where SQLite cannot
 * make what it needs beside a file, even to read it ---- */

int at_rest_folder_error(const char *path)
{
    char folder[PATH_MAX];

    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder)
        return ENAMETOOLONG;
    return access(dirname(folder), W_OK | X_OK) == 0 ? 0 : errno;
}

static bool has_log(const char *path)
{
    char log[PATH_MAX];

    return snprintf(log, sizeof log, "%s-wal", path) >= (int)sizeof log || access(log, F_OK) == 0 ||
           errno != ENOENT;
}

/* Where no file may be made beside @path, and no -wal file is: then it is complete, and nobody is
 * at it. Whoever may write there is not to begin while it is open.
 *
 * @ret_uri  of SQLite's, to open it by as one that never changes
 * @return   false: it is to be opened as any other */
static bool at_rest_uri(const char *path, char *ret_uri, size_t size)
{
    static const char end[] = "?immutable=1";
    size_t len = (size_t)snprintf(ret_uri, size, "file:%s", *path == '/' ? "//" : "");

    if (at_rest_folder_error(path) == 0 || has_log(path))
        return false;
    for (; *path && len + sizeof end + 3 < size; path++)
        len += (size_t)snprintf(ret_uri + len, size - len, strchr("%?#", *path) ? "%%%02X" : "%c",
                                *path);
    snprintf(ret_uri + len, size - len, "%s", end);
    return *path == '\0';
}

/* ---- the one name of a file, whatever symbolic links lead to it ----
 *
 * What lies beside a database (its log, its locks) has this name and a suffix, for all processes
 * alike. SQLite does the same.
 */

/* As many as Linux follows. */
#define LINKS_MAX 40

/* @return how many bytes of @path name its folder, the last "/" included */
static int folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

/* @path is a link, which leads to nothing: one step. @return false: it is none */
static bool follow(char path[PATH_MAX])
{
    char target[PATH_MAX];
    char next[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);

    if (len < 0)
        return false;
    target[len] = '\0';
    if (snprintf(next, sizeof next, "%.*s%s", *target == '/' ? 0 : folder_len(path), path,
                 target) >= (int)sizeof next)
        return false;
    memcpy(path, next, sizeof next);
    return true;
}

/*
 * From the root, without links. A file that is not there yet has the name with which it would be
 * made, also where a link leads to it.
 *
 * @return false: it cannot be found out, see errno
 */
static bool real_name(const char *path, char ret_name[PATH_MAX])
{
    char name[PATH_MAX] = "";
    char folder[PATH_MAX];
    size_t len;
    int links = 0;

    if (realpath(path, ret_name))
        return true;
    if (errno != ENOENT || strlen(path) >= sizeof name)
        return false;
    memcpy(name, path, strlen(path) + 1);
    while (links < LINKS_MAX && follow(name))
        links++;
    snprintf(folder, sizeof folder, "%.*s.", folder_len(name), name);
    if (!realpath(folder, ret_name))
        return false;
    len = strlen(ret_name);
    return snprintf(ret_name + len, PATH_MAX - len, "%s%s", ret_name[len - 1] == '/' ? "" : "/",
                    name + folder_len(name)) < (int)(PATH_MAX - len);
}

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
