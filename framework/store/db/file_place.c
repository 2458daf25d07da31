/* file_place.c - see file_place.h. As long as a file is open, no other one has its number. */
#include "store/db/file_place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_place_take(struct file_place *place, const char *path, const char *suffix)
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

void file_place_done(struct file_place *place)
{
    free(place->path);
    place->path = NULL;
}

const char *file_place_trouble(const struct file_place *place)
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
