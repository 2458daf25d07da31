/* fuzz.c - see fuzz.h. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[64];

int fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_expect(fd >= 0 && ftruncate(fd, 0) == 0, "a file in memory");
    fuzz_expect(pwrite(fd, data, size, 0) == (ssize_t)size, "a file in memory with this size");
    return fd;
}

const char *fuzz_path(void)
{
    return path;
}

void fuzz_expect(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "fuzz: expected %s\n", what);
    abort();
}
