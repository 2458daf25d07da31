/* die_after_sync.c - no plugin, but to be preloaded (LD_PRELOAD): kills its process right after it
 * has brought a write-ahead log to the disk for the nth time (DIE_AFTER_SYNC=n), which is between a
 * commit and whatever follows it.
 */
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int synced;

static int is_log(int fd)
{
    char name[64];
    char path[PATH_MAX];
    ssize_t length;

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    length = readlink(name, path, sizeof path - 1);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int note(int fd, int result)
{
    const char *last = getenv("DIE_AFTER_SYNC");

    if (result == 0 && last && is_log(fd) && atomic_fetch_add(&synced, 1) + 1 == atoi(last))
        kill(getpid(), SIGKILL);
    return result;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return note(fd, (int)syscall(SYS_fdatasync, fd));
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return note(fd, (int)syscall(SYS_fsync, fd));
}
