/* database_descriptors.c - the descriptors that SQLite keeps of a file and of its log. Whoever else
 * closes one of them has SQLite write pages into whatever gets its number.
 *
 * SQLite does not give their numbers. They are those that this process has of the file after it was
 * opened, and had not before.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/descriptors.h"
#include "store/db/database_private.h"

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
