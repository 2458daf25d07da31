/* owner_lock.c - see owner_lock.h. Byte 0 says who may use the file, and each user that shares has
 * locked the byte whose place is its number.
 */
#include "store/idempotency/idempotency_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/error.h"
#include "base/input_file.h"

struct owner_lock {
    int fd;
    int64_t id;
};

static struct flock byte_lock(short type, int64_t place)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = 1};
}

/* 62 random bits: a number comes twice when pigs fly. */
static bool take_id(struct owner_lock *lock)
{
    struct flock mine;
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        return false;
    lock->id = (int64_t)(bits >> 2) + 1;
    mine = byte_lock(F_WRLCK, lock->id);
    return fcntl(lock->fd, F_OFD_SETLK, &mine) == 0;
}

static enum warren_status refused(const char *path, bool shared, struct warren_error *error)
{
    if (shared)
        return error_set(error, WARREN_ECONFIG,
                         "%s is in use by a worker that does not share it; set store.shared: true "
                         "in that one too",
                         path);
    return error_set(error, WARREN_ECONFIG,
                     "%s is in use by another worker; give each a file of its own, or set "
                     "store.shared: true in all that are to share this one",
                     path);
}

static enum warren_status take(struct owner_lock *lock, const char *path, const char *name,
                               bool shared, struct warren_error *error)
{
    struct flock all = byte_lock(shared ? F_RDLCK : F_WRLCK, 0);

    if (fcntl(lock->fd, F_OFD_SETLK, &all) != 0)
        return errno == EAGAIN || errno == EACCES
                   ? refused(path, shared, error)
                   : error_set(error, WARREN_EIO, "%s: %s", name, strerror(errno));
    if (!take_id(lock))
        return error_set(error, WARREN_EIO, "%s: %s", name, strerror(errno));
    return WARREN_OK;
}

enum warren_status owner_lock_new(const struct database *database, bool shared,
                                  struct owner_lock **ret_lock, struct warren_error *error)
{
    struct owner_lock *lock = calloc(1, sizeof *lock);
    char name[PATH_MAX];
    enum warren_status status;

    if (!lock)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    lock->fd = private_file_beside(database_file(database), "-lock", name);
    if (lock->fd < 0)
        status = error_set(error, WARREN_EIO, "%s: %s", name, strerror(errno));
    else
        status = take(lock, database_path(database), name, shared, error);
    if (status != WARREN_OK) {
        owner_lock_free(lock);
        return status;
    }
    descriptors_add(lock->fd, -1, "the lock of the store");
    *ret_lock = lock;
    return WARREN_OK;
}

void owner_lock_free(struct owner_lock *lock)
{
    if (!lock)
        return;
    descriptors_close(lock->fd);
    free(lock);
}

int64_t owner_lock_id(const struct owner_lock *lock)
{
    return lock->id;
}

bool owner_lock_lives(const struct owner_lock *lock, int64_t id)
{
    struct flock probe = byte_lock(F_WRLCK, id);

    /* An answer that cannot be had is no proof of death. */
    return fcntl(lock->fd, F_OFD_GETLK, &probe) != 0 || probe.l_type != F_UNLCK;
}
