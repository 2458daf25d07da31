/* place_facts.c - what is to be known of a folder in which something is kept: see judge.h. It is
 * tried out with a file that has no name there, or none for long.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/doctor/judge.h"

/* How often a piece is written and flushed. */
#define SYNC_TIMES 5
#define PIECE_SIZE 4096

/* The folder of @place, which need not exist. A link may lead to another disk. */
static void folder_of(const struct place *place, char folder[PATH_MAX])
{
    char path[PATH_MAX];

    if (!realpath(place->path, path))
        snprintf(path, sizeof path, "%s", place->path);
    snprintf(folder, PATH_MAX, "%s", place->is_folder ? path : dirname(path));
}

static void look_at_file(const struct place *place, struct place_facts *facts)
{
    char log[PATH_MAX + 8];
    struct stat stat_;

    if (place->is_folder || stat(place->path, &stat_) != 0)
        return;
    facts->has = (uint64_t)stat_.st_size;
    if (access(place->path, R_OK | W_OK) != 0)
        facts->file_error = errno;
    snprintf(log, sizeof log, "%s-wal", place->path);
    if (stat(log, &stat_) == 0)
        facts->has += (uint64_t)stat_.st_size;
}

/* @return a new file of @folder that nobody sees; -1 with errno */
static int nameless_file(const char *folder)
{
    char name[PATH_MAX + 32];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
        return fd;
    snprintf(name, sizeof name, "%s/.warren-doctor-XXXXXX", folder);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

static void try_sync(int fd, struct place_facts *facts)
{
    static const char piece[PIECE_SIZE] = {1};

    facts->sync_least_us = INT64_MAX;
    for (int i = 0; i < SYNC_TIMES && !facts->sync_error; i++) {
        int64_t begun_ns = clock_now_ns(clock_monotonic());
        int64_t took_us;

        if (pwrite(fd, piece, sizeof piece, (off_t)i * PIECE_SIZE) != (ssize_t)sizeof piece ||
            fdatasync(fd) != 0)
            facts->sync_error = errno ? errno : EIO;
        took_us = (clock_now_ns(clock_monotonic()) - begun_ns) / 1000;
        facts->sync_us = took_us > facts->sync_us ? took_us : facts->sync_us;
        facts->sync_least_us = took_us < facts->sync_least_us ? took_us : facts->sync_least_us;
    }
}

static void try_out(int fd, struct place_facts *facts)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    void *map;

    try_sync(fd, facts);
    if (fcntl(fd, F_SETLK, &lock) != 0)
        facts->lock_error = errno;
    if (facts->sync_error)
        return; /* what is mapped may not be there */
    map = mmap(NULL, PIECE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        facts->map_error = errno;
    else
        munmap(map, PIECE_SIZE);
}

static void look_at_folder(const char *folder, struct place_facts *facts)
{
    struct statfs system;
    struct stat stat_;
    int fd;

    if (statfs(folder, &system) != 0 || stat(folder, &stat_) != 0) {
        facts->error = errno;
        return;
    }
    facts->type = (uint64_t)system.f_type & 0xffffffff;
    facts->device = (uint64_t)stat_.st_dev;
    facts->free = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
    facts->inodes = system.f_files > 0 ? (uint64_t)system.f_ffree : NO_LIMIT;
    if (!S_ISDIR(stat_.st_mode)) {
        facts->error = ENOTDIR;
        return;
    }
    facts->exists = true;
    fd = nameless_file(folder);
    if (fd < 0) {
        facts->write_error = errno;
        return;
    }
    try_out(fd, facts);
    close(fd);
}

/* In a child process: see within.h. */
static void gather(const void *arg, void *out)
{
    const struct place *place = arg;
    struct place_facts *facts = out;
    char folder[PATH_MAX];
    char parent[PATH_MAX];

    folder_of(place, folder);
    look_at_folder(folder, facts);
    look_at_file(place, facts);
    if (facts->error == ENOENT && place->is_folder) {
        snprintf(parent, sizeof parent, "%s", folder);
        facts->can_make = access(dirname(parent), W_OK | X_OK) == 0;
    }
}

void place_gather(struct place *place, within_wait_fn *wait, void *user)
{
    int signal;

    place->facts = (struct place_facts){0};
    place->facts.end = within(PLACE_PATIENCE_MS, gather, place, &place->facts, sizeof place->facts,
                              wait, user, &signal);
}
