/* database_descriptors.c - the descriptors that SQLite keeps of a file and of its log. Whoever else
 * closes one of them has SQLite write pages into whatever gets its number.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/descriptors.h"
#include "store/database_private.h"

/* How an open file begins in SQLite's os_unix.c, since 2012. What is found is believed only if it
 * is that file. */
struct unix_file {
    sqlite3_file base;
    void *vfs;
    void *inode;
    int fd;
};

static bool is_file(int fd, const char *path, const char *suffix)
{
    char name[4096];
    struct stat there;
    struct stat here;

    return (size_t)snprintf(name, sizeof name, "%s%s", path, suffix) < sizeof name &&
           stat(name, &there) == 0 && fstat(fd, &here) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

/* @which  SQLITE_FCNTL_FILE_POINTER or SQLITE_FCNTL_JOURNAL_POINTER. @return -1: not known */
static int descriptor_of(const struct database *database, int which, const char *suffix)
{
    sqlite3_vfs *vfs = NULL;
    sqlite3_file *file = NULL;
    int fd;

    if (sqlite3_file_control(database->sqlite, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) !=
            SQLITE_OK ||
        !vfs || strcmp(vfs->zName, "unix") != 0 ||
        sqlite3_file_control(database->sqlite, "main", which, &file) != SQLITE_OK || !file ||
        !file->pMethods)
        return -1;
    fd = ((const struct unix_file *)(const void *)file)->fd;
    return is_file(fd, database->path, suffix) ? fd : -1;
}

void database_add_descriptors(struct database *database)
{
    database->file_fd = descriptor_of(database, SQLITE_FCNTL_FILE_POINTER, "");
    database->log_fd = descriptor_of(database, SQLITE_FCNTL_JOURNAL_POINTER, "-wal");
    descriptors_add(database->file_fd, -1, "a database file");
    descriptors_add(database->log_fd, -1, "the log of a database file");
}

void database_remove_descriptors(struct database *database)
{
    if (database->file_fd > 0)
        descriptors_remove(database->file_fd);
    if (database->log_fd > 0)
        descriptors_remove(database->log_fd);
}
