/* flight_file.c - see flight_file.h. */
#include "consume/crash/flight_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/input_file.h"

#define MAGIC       "warrenFR"
#define VERSION     3
#define PREFIX_SIZE 40
#define NAME_SIZE   (PREFIX_SIZE + 32)
#define ENTRIES_MAX (1u << 20) /* of a kind; more is damage */
#define TRIES_MAX   100        /* for a name that is free */

static uint32_t sizes_hash(void)
{
    const uint64_t sizes[] = {sizeof(struct flight_head), sizeof(struct flight_slot),
                              sizeof(struct flight_note), sizeof(struct flight_report)};

    return (uint32_t)identity_hash(sizes, sizeof sizes, VERSION);
}

static size_t rounded(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* Where each kind begins, in this order; the last is the whole size. */
static void lay_out(const struct flight_head *head, size_t offsets[4])
{
    offsets[0] = rounded(sizeof *head);
    offsets[1] = offsets[0] + rounded(head->slot_count * sizeof(struct flight_slot));
    offsets[2] = offsets[1] + rounded(head->note_count * sizeof(struct flight_note));
    offsets[3] = offsets[2] + rounded(head->report_count * sizeof(struct flight_report));
}

static void point(struct flight_file *file, const size_t offsets[4])
{
    char *base = (char *)file->head;

    file->slots = (struct flight_slot *)(void *)(base + offsets[0]);
    file->notes = (struct flight_note *)(void *)(base + offsets[1]);
    file->reports = (struct flight_report *)(void *)(base + offsets[2]);
}

/* ---- making ---- */

/* Room on the disk is taken now: a page without any would be a SIGBUS later. @map_fd: of the same
 * file; borrowed */
static enum warren_status fill(struct flight_file *file, int map_fd,
                               const struct flight_shape *shape, uint64_t key,
                               struct warren_error *error)
{
    struct flight_head head = {.version = VERSION,
                               .slot_count = shape->slots,
                               .note_count = shape->notes,
                               .report_count = FLIGHT_REPORTS,
                               .sizes = sizes_hash(),
                               .pid = getpid(),
                               .key = key};
    const char *where = file->path ? file->path : "memory";
    size_t offsets[4];
    int failure;

    lay_out(&head, offsets);
    file->size = offsets[3];
    descriptors_add(file->fd, -1, "the flight recorder");
    do
        failure = posix_fallocate(file->fd, 0, (off_t)file->size);
    while (failure == EINTR); /* a signal that comes while a worker starts is no reason not to */
    if (failure)
        return error_set(error, WARREN_EIO, "flight recorder %s: %zu bytes: %s", where, file->size,
                         strerror(failure));
    file->head = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (file->head == MAP_FAILED) {
        file->head = NULL;
        return error_set(error, WARREN_EIO, "flight recorder %s: %s", where, strerror(errno));
    }
    *file->head = head;
    point(file, offsets);
    atomic_thread_fence(memory_order_release);
    memcpy(file->head->magic, MAGIC, sizeof file->head->magic);
    return WARREN_OK;
}

enum warren_status flight_file_memory(const struct flight_shape *shape, uint64_t key,
                                      struct flight_file *file, struct warren_error *error)
{
    enum warren_status status;

    *file = (struct flight_file){.fd = memfd_create("warren-flight", MFD_CLOEXEC)};
    if (file->fd < 0)
        return error_set(error, WARREN_EIO, "memfd_create: %s", strerror(errno));
    status = fill(file, file->fd, shape, key, error);
    if (status != WARREN_OK)
        flight_file_close(file, true);
    return status;
}

/* ---- reading ---- */

/* NULL: nothing. */
static const char *what_is_wrong(const struct flight_head *head, size_t size, uint64_t key)
{
    size_t offsets[4];

    if (memcmp(head->magic, MAGIC, sizeof head->magic) != 0)
        return "it is no flight recorder, or was never finished";
    if (head->version != VERSION || head->sizes != sizes_hash())
        return "it is of another version of warren";
    if (head->key != key)
        return "it is of another broker or of other queues";
    if (head->slot_count > ENTRIES_MAX || head->note_count > ENTRIES_MAX ||
        head->report_count != FLIGHT_REPORTS)
        return "it is damaged";
    lay_out(head, offsets);
    return offsets[3] == size ? NULL : "it is not as long as it says";
}

const char *flight_file_read(int fd, uint64_t key, struct flight_file *file)
{
    const char *wrong;
    struct flight_head *head;
    struct stat info;
    size_t offsets[4];

    if (fstat(fd, &info) != 0 || info.st_size < (off_t)sizeof *head)
        return "it is too short";
    head = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED)
        return "it cannot be mapped into memory";
    wrong = what_is_wrong(head, (size_t)info.st_size, key);
    if (wrong) {
        munmap(head, (size_t)info.st_size);
        return wrong;
    }
    *file = (struct flight_file){.head = head, .size = (size_t)info.st_size, .fd = fd};
    lay_out(head, offsets);
    point(file, offsets);
    return NULL;
}

/* ---- a directory of them ---- */

/* What only another configuration, or other rights, can mend; else it is the disk. */
static enum warren_status status_of(int failure)
{
    static const int wrong[] = {EACCES, EPERM, EROFS, ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (failure == wrong[i])
            return WARREN_ECONFIG;
    return WARREN_EIO;
}

static enum warren_status refuse_directory(const char *path, const char *what, int failure,
                                           struct warren_error *error)
{
    return error_set(error, status_of(failure), "state_dir %s: %s%s", path, what,
                     strerrordesc_np(failure));
}

/* Held while one process begins, so that no other sees its file half made, or takes the same one
 * over; and while one gets another name. It waits for milliseconds. */
static enum warren_status lock_directory(const char *path, int *ret_fd, struct warren_error *error)
{
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0)
        return refuse_directory(path, "", errno, error);
    while (flock(*ret_fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        error_set(error, WARREN_EIO, "state_dir %s: cannot lock: %s", path, strerror(errno));
        close(*ret_fd);
        return WARREN_EIO;
    }
    return WARREN_OK;
}

static enum warren_status open_directory(const char *path, int *ret_fd, struct warren_error *error)
{
    if (mkdir(path, PRIVATE_DIRECTORY_MODE) != 0 && errno != EEXIST)
        return refuse_directory(path, "", errno, error);
    return lock_directory(path, ret_fd, error);
}

static void write_prefix(char prefix[PREFIX_SIZE], uint64_t key)
{
    snprintf(prefix, PREFIX_SIZE, "flight-%016" PRIx64 "-", key);
}

/* Number @i of those that this process may give to a file. */
static void write_name(char name[NAME_SIZE], uint64_t key, int i)
{
    char prefix[PREFIX_SIZE];

    write_prefix(prefix, key);
    snprintf(name, NAME_SIZE, "%s%d.%d", prefix, (int)getpid(), i);
}

/* The lock has a descriptor of its own, that no memory is mapped from: whoever looks at a process
 * (ps, top) may keep its memory for a moment longer than it lives, and with it what that was mapped
 * from. @ret_map_fd: what to map; owned by the caller, -1 if this fails */
static enum warren_status make_file(int directory, const char *path, uint64_t key,
                                    struct flight_file *file, int *ret_map_fd,
                                    struct warren_error *error)
{
    char name[NAME_SIZE];

    *ret_map_fd = -1;
    for (int i = 0; i < TRIES_MAX; i++) {
        write_name(name, key, i);
        file->fd =
            openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, PRIVATE_FILE_MODE);
        if (file->fd >= 0 || errno != EEXIST)
            break;
    }
    if (file->fd < 0 || flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return refuse_directory(path, "cannot make a file: ", errno, error);
    if (asprintf(&file->path, "%s/%s", path, name) < 0) {
        file->path = NULL;
        unlinkat(directory, name, 0);
        return error_set(error, WARREN_ENOMEM, "no memory");
    }
    *ret_map_fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_map_fd < 0)
        return refuse_directory(path, "cannot open a file again: ", errno, error);
    return WARREN_OK;
}

struct adoption {
    int directory;
    const char *path; /* of the directory */
    uint64_t key;
    const struct flight_file *own;
    const struct flight_heir *heir;
};

static void refuse(const struct adoption *adoption, const char *name, const char *why)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", adoption->path, name);
    adoption->heir->refused(adoption->heir->user, path, why);
}

static void adopt(const struct adoption *adoption, const char *name)
{
    int fd = openat(adoption->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct flight_file file;
    const char *wrong;

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* not so those of processes that live */
        wrong = flight_file_read(fd, adoption->key, &file);
        if (wrong) {
            refuse(adoption, name, wrong);
        } else {
            adoption->heir->earlier(adoption->heir->user, &file);
            flight_file_sync(adoption->own);
            munmap(file.head, file.size);
        }
        unlinkat(adoption->directory, name, 0);
    }
    close(fd);
}

/* "flight-0123456789abcdef-PID.NUMBER" */
static bool is_recorder(const char *name)
{
    static const char begin[] = "flight-";
    size_t key = sizeof begin - 1;

    return strncmp(name, begin, key) == 0 && strspn(name + key, "0123456789abcdef") == 16 &&
           name[key + 16] == '-' &&
           strspn(name + key + 17, "0123456789.") == strlen(name + key + 17);
}

/* Its queues, or its broker, are consumed no more, or by other workers: nobody would ever take it
 * over. Where files are in memory alone, its time is that of the beginning of its process. */
static bool is_orphan(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
           clock_wall_ms() - (int64_t)info.st_mtim.tv_sec * 1000 > FLIGHT_ORPHAN_MS &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void bury(const struct adoption *adoption, const char *name)
{
    int fd = openat(adoption->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char path[PATH_MAX];

    if (fd < 0)
        return;
    snprintf(path, sizeof path, "%s/%s", adoption->path, name);
    if (is_orphan(fd) && unlinkat(adoption->directory, name, 0) == 0)
        adoption->heir->orphaned(adoption->heir->user, path);
    close(fd);
}

static void adopt_all(const struct adoption *adoption)
{
    int fd = openat(adoption->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    char prefix[PREFIX_SIZE];
    struct dirent *entry;

    write_prefix(prefix, adoption->key);
    while (entries && (entry = readdir(entries)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            adopt(adoption, entry->d_name);
        else if (is_recorder(entry->d_name))
            bury(adoption, entry->d_name);
    if (entries)
        closedir(entries);
    else if (fd >= 0)
        close(fd);
}

enum warren_status flight_file_create(const char *directory, const struct flight_shape *shape,
                                      uint64_t key, const struct flight_heir *heir,
                                      struct flight_file *file, struct warren_error *error)
{
    struct adoption adoption = {.path = directory, .key = key, .own = file, .heir = heir};
    enum warren_status status;
    int map_fd;

    *file = (struct flight_file){.fd = -1};
    status = open_directory(directory, &adoption.directory, error);
    if (status != WARREN_OK)
        return status;
    status = make_file(adoption.directory, directory, key, file, &map_fd, error);
    if (status == WARREN_OK)
        status = fill(file, map_fd, shape, key, error);
    if (map_fd >= 0)
        close(map_fd);
    if (status == WARREN_OK)
        adopt_all(&adoption);
    else
        flight_file_close(file, true);
    close(adoption.directory); /* which unlocks it */
    return status;
}

/* ---- another key ---- */

/* Under the directory's lock. @return 0, or errno */
static int rename_in(int directory, const char *from, const char *to)
{
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    /* The file system cannot. Nobody else makes a file of that name. */
    if (faccessat(directory, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return renameat(directory, from, directory, to) == 0 ? 0 : errno;
}

/* @name: of the file in @path, the directory, without a slash at its end */
static enum warren_status rename_file(struct flight_file *file, const char *path, const char *name,
                                      uint64_t key, struct warren_error *error)
{
    enum warren_status status;
    char next[NAME_SIZE];
    char *whole;
    int failure = EEXIST;
    int directory;

    status = lock_directory(path, &directory, error);
    if (status != WARREN_OK)
        return status;
    for (int i = 0; failure == EEXIST && i < TRIES_MAX; i++) {
        write_name(next, key, i);
        failure = rename_in(directory, name, next);
    }
    if (failure) {
        status = refuse_directory(path, "cannot rename a file: ", failure, error);
    } else if (asprintf(&whole, "%s/%s", path, next) < 0) {
        rename_in(directory, next, name);
        status = error_set(error, WARREN_ENOMEM, "no memory");
    } else {
        free(file->path);
        file->path = whole;
        file->head->key = key;
    }
    close(directory); /* which unlocks it */
    return status;
}

enum warren_status flight_file_rekey(struct flight_file *file, uint64_t key,
                                     struct warren_error *error)
{
    enum warren_status status;
    char *path;
    char *slash;

    if (!file->path) {
        file->head->key = key;
        return WARREN_OK;
    }
    path = strdup(file->path);
    if (!path)
        return error_set(error, WARREN_ENOMEM, "no memory");
    slash = strrchr(path, '/');
    *slash = '\0';
    status = rename_file(file, slash == path ? "/" : path, slash + 1, key, error);
    free(path);
    return status;
}

void flight_file_sync(const struct flight_file *file)
{
    if (file->path)
        msync(file->head, file->size, MS_SYNC);
}

void flight_file_close(struct flight_file *file, bool remove)
{
    if (file->head)
        munmap(file->head, file->size);
    if (file->path && remove)
        unlink(file->path);
    descriptors_close(file->fd);
    free(file->path);
    *file = (struct flight_file){.fd = -1};
}
