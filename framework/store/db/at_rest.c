/* at_rest.c - see at_rest.h. */
#include "store/db/at_rest.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

bool at_rest_uri(const char *path, char *ret_uri, size_t size)
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
