/* database_place.c - a file that is deleted, moved, replaced, emptied or overwritten while it is in
 * use.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/descriptors.h"
#include "base/error.h"
#include "store/db/database_private.h"

/* ---- is the file that was opened still the one at its path? Who deletes, moves or replaces a file
 * that is open gets no error, and what is written into it afterwards is lost ---- */

static void file_place_done(struct file_place *place)
{
    free(place->path);
    place->path = NULL;
}

/* Take note of what is at @path and @suffix: the file that the caller has opened there just now. A
 * file that is not there is none to look for. @return false: no memory */
static bool file_place_take(struct file_place *place, const char *path, const char *suffix)
{
    char folder[PATH_MAX] = "";
    struct stat now;

    *place = (struct file_place){.path = NULL};
    if (*path != '/' && !getcwd(folder, sizeof folder))
        return true; /* then not even SQLite knows where it is */
    if (asprintf(&place->path, "%s%s%s%s", folder, *folder ? "/" : "", path, suffix) < 0) {
        place->path = NULL;
        return false;
    }
    if (stat(place->path, &now) != 0) {
        file_place_done(place);
        return true;
    }
    place->device = now.st_dev;
    place->inode = now.st_ino;
    return true;
}

/* NULL: it is in its place, as far as can be seen; else such as "was deleted or moved". */
static const char *file_place_trouble(const struct file_place *place)
{
    struct stat now;

    if (!place->path)
        return NULL;
    if (stat(place->path, &now) != 0) /* an answer that cannot be had proves nothing */
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? "was deleted or moved"
                                                                     : NULL;
    return now.st_dev != place->device || now.st_ino != place->inode
               ? "was replaced by another file"
               : NULL;
}

/* Where a file of SQLite's counts its changes: a backup of it does so from 1 on.
 * Source: https://www.sqlite.org/fileformat2.html, "The Database Header". */
#define CHANGE_AT 24

bool database_watch(struct database *database, const char *suffix)
{
    struct file_place *place = &database->places[database->place_count];

    if (database->place_count == DATABASE_PLACES)
        return true;
    if (!file_place_take(place, database->file, suffix))
        return false;
    database->place_count++;
    return true;
}

void database_unwatch(struct database *database, const char *suffix)
{
    size_t len = strlen(database->file);

    for (size_t i = 0; i < database->place_count; i++) {
        struct file_place *place = &database->places[i];

        if (!place->path || strncmp(place->path, database->file, len) != 0 ||
            strcmp(place->path + len, suffix) != 0)
            continue;
        file_place_done(place);
        *place = database->places[--database->place_count];
        return;
    }
}

/* A link may come to lead elsewhere: then the next process has another file. */
static bool watch_links(struct database *database)
{
    struct file_place *place = &database->places[database->place_count];

    if (!file_place_take(place, database->path, ""))
        return false;
    if (place->path && strcmp(place->path, database->file) != 0)
        database->place_count++;
    else
        file_place_done(place);
    return true;
}

/* ---- the mark: by it a file is known again whose inside was changed by others ---- */

/* From the file itself, not from SQLite's pages in memory or the log; what is behind its end is
 * zero.
 */
static bool read_file(const struct database *database, int64_t at, uint8_t *bytes, size_t len)
{
    sqlite3_file *file = NULL;
    int code;

    sqlite3_file_control(database->sqlite, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (!file || !file->pMethods)
        return false;
    code = file->pMethods->xRead(file, bytes, (int)len, at);
    return code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ;
}

/* The row of the schema's first step (schema.h), with its time, ends the first page of its table:
 * neither later ones nor VACUUM move it. */
static bool read_schema_mark(struct database *database)
{
    static const uint8_t nothing[DATABASE_MARK];
    int64_t root;
    int64_t page;

    if (database_number(database, "SELECT rootpage FROM sqlite_master WHERE name = 'warren_schema'",
                        &root, NULL) != WARREN_OK ||
        database_number(database, "PRAGMA page_size", &page, NULL) != WARREN_OK)
        return false;
    database->mark_at = root * page - DATABASE_MARK;
    return read_file(database, database->mark_at, database->mark, DATABASE_MARK) &&
           memcmp(database->mark, nothing, DATABASE_MARK) != 0;
}

/* Of a new file all but its beginning is in the log. If somebody reads that, it may stay there. */
static void take_mark(struct database *database)
{
    database->has_mark = read_schema_mark(database);
    if (database->has_mark)
        return;
    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    database->has_mark = read_schema_mark(database);
    if (database->has_mark)
        return;
    database->mark_at = 0;
    database->has_mark = read_file(database, 0, database->mark, DATABASE_MARK);
}

static bool went_back(struct database *database)
{
    uint8_t bytes[4];
    uint32_t before = database->change;

    if (!read_file(database, CHANGE_AT, bytes, sizeof bytes))
        return false;
    database->change = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                       (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
    return database->change < before;
}

static bool lost_mark(const struct database *database)
{
    uint8_t now[DATABASE_MARK];

    return database->has_mark && read_file(database, database->mark_at, now, DATABASE_MARK) &&
           memcmp(now, database->mark, DATABASE_MARK) != 0;
}

bool database_is_spoiled(const struct database *database)
{
    return atomic_load(&(database->beside ? database->beside : database)->is_spoiled);
}

/* By the time that somebody looks, SQLite may have filled it again from the log: with holes. */
static bool is_spoiled(struct database *database)
{
    if (went_back(database) || lost_mark(database))
        atomic_store(&(database->beside ? database->beside : database)->is_spoiled, true);
    return database_is_spoiled(database);
}

/* ---- the place ---- */

bool database_watch_all(struct database *database)
{
    take_mark(database);
    return database_watch(database, "") && database_watch(database, "-wal") &&
           database_watch(database, "-shm") && watch_links(database);
}

enum warren_status database_in_place(struct database *database, struct warren_error *error)
{
    database->is_displaced = false;
    if (is_spoiled(database))
        return error_set(error, WARREN_EIO,
                         "%s was emptied or overwritten while it was in use: nothing is taken for "
                         "done that is written into it now. Stop, put a backup in its place, "
                         "without a -wal file beside it, and start anew",
                         database->file);
    for (size_t i = 0; i < database->place_count; i++) {
        const char *trouble = file_place_trouble(&database->places[i]);

        if (!trouble)
            continue;
        database->is_displaced = true;
        return error_set(error, WARREN_EIO,
                         "%s %s while it was in use: nothing is taken for done that is written "
                         "into it now. Put it back, and work goes on; or stop, put a backup in "
                         "the place of %s, and start anew",
                         database->places[i].path, trouble, database->path);
    }
    return WARREN_OK;
}

void database_rescue(struct database *database)
{
    if (database->is_displaced)
        sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* SQLite would remove the log by its name, which may be another file's by now; but what is in it
 * must not be taken for that file's. */
static void leave_log(struct database *database)
{
    sqlite3_busy_timeout(database->sqlite, 0);
    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void database_part(struct database *database)
{
    bool is_watched = database->place_count > 0;

    /* Into what others have put there nothing is written any more. */
    if (is_watched && is_spoiled(database))
        sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    else if (is_watched && file_place_trouble(&database->places[0]))
        leave_log(database);
    for (size_t i = 0; i < database->place_count; i++)
        file_place_done(&database->places[i]);
}

/* ---- its descriptors ---- */

#define NAME_MAX_SIZE 4096

/* Add those of the file at @path + @suffix, of which there may be none. */
static void list_open(const char *path, const char *suffix, struct database_open_files *files)
{
    char name[NAME_MAX_SIZE];
    struct stat there;
    struct stat here;
    struct dirent *entry;
    DIR *folder;

    if ((size_t)snprintf(name, sizeof name, "%s%s", path, suffix) >= sizeof name ||
        stat(name, &there) != 0)
        return;
    folder = opendir("/proc/self/fd");
    while (folder && files->count < DATABASE_OPEN_FILES && (entry = readdir(folder))) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (*entry->d_name != '.' && fstatat(dirfd(folder), entry->d_name, &here, 0) == 0 &&
            here.st_dev == there.st_dev && here.st_ino == there.st_ino)
            files->fds[files->count++] = fd;
    }
    if (folder)
        closedir(folder);
}

static bool holds(const struct database_open_files *files, int fd)
{
    size_t i = 0;

    while (i < files->count && files->fds[i] != fd)
        i++;
    return i < files->count;
}

/* @return -1: not known, or more than one, of which another thread opened one meanwhile */
static int opened(const struct database *database, const char *suffix,
                  const struct database_open_files *before)
{
    struct database_open_files after = {.count = 0};
    int found = -1;

    list_open(database->file, suffix, &after);
    for (size_t i = 0; i < after.count; i++) {
        if (holds(before, after.fds[i]))
            continue;
        if (found >= 0)
            return -1;
        found = after.fds[i];
    }
    return after.count < DATABASE_OPEN_FILES ? found : -1;
}

void database_list_descriptors(const char *file, struct database_open_files *before)
{
    before->count = 0;
    list_open(file, "", before);
    list_open(file, "-wal", before);
}

void database_add_descriptors(struct database *database, const struct database_open_files *before)
{
    database->file_fd = opened(database, "", before);
    database->log_fd = opened(database, "-wal", before);
    if (database->file_fd >= 0)
        descriptors_add(database->file_fd, -1, "a database file");
    if (database->log_fd >= 0)
        descriptors_add(database->log_fd, -1, "the log of a database file");
}

void database_remove_descriptors(struct database *database)
{
    if (database->file_fd > 0)
        descriptors_remove(database->file_fd);
    if (database->log_fd > 0)
        descriptors_remove(database->log_fd);
}
