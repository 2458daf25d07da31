/* private_file.c - see private_file.h. */
#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

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
