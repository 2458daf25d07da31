/* real_name.c - see real_name.h. */
#include "store/db/real_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool real_name(const char *path, char ret_name[PATH_MAX])
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
