/* input_file.c - see input_file.h. */
#include "base/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *input_file_wrong(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "it is a pipe, not a regular file";
    if (S_ISSOCK(mode))
        return "it is a socket, not a regular file";
    return NULL;
}

static bool begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static bool names_descriptor(const char *path)
{
    return strcmp(path, "/dev/stdin") == 0 || begins(path, "/dev/fd/") ||
           begins(path, "/proc/self/fd/");
}

bool input_file_is_once(const char *path)
{
    struct stat about;

    return names_descriptor(path) && stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

/* NULL: it may be read. Who named a descriptor wants to wait for what comes. */
static const char *look(int fd, const char *path)
{
    struct stat about;

    if (names_descriptor(path))
        return fcntl(fd, F_SETFL, 0) == 0 ? NULL : strerrordesc_np(errno);
    return fstat(fd, &about) == 0 ? input_file_wrong(about.st_mode) : strerrordesc_np(errno);
}

int input_file_open(const char *path, const char **ret_why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int failure = errno;
    struct stat about;

    *ret_why = NULL;
    if (fd >= 0)
        *ret_why = look(fd, path);
    else if (stat(path, &about) == 0) /* a socket, say, cannot be opened at all */
        *ret_why = input_file_wrong(about.st_mode);
    if (fd >= 0 && !*ret_why)
        return fd;
    if (!*ret_why)
        *ret_why = strerrordesc_np(failure);
    if (fd >= 0)
        close(fd);
    return -1;
}

FILE *input_file_stream(const char *path, const char **ret_why)
{
    int fd = input_file_open(path, ret_why);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (fd >= 0 && !file) {
        *ret_why = strerrordesc_np(errno);
        close(fd);
    }
    return file;
}

/* ---- private files ---- */

bool private_file_make(const char *path)
{
    return mknod(path, S_IFREG | PRIVATE_FILE_MODE, 0) == 0;
}

int private_file_beside(const char *path, const char *suffix, char ret_name[PATH_MAX])
{
    struct stat first;
    mode_t mode = stat(path, &first) == 0 ? first.st_mode & 0666 : PRIVATE_FILE_MODE;

    if (snprintf(ret_name, PATH_MAX, "%s%s", path, suffix) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(ret_name, O_RDWR | O_CREAT | O_CLOEXEC, mode);
}
