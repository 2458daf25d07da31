/* descriptors.c - see descriptors.h. */
#include "base/descriptors.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ending.h"

struct entry {
    int fd;
    int set;
    const char *what;
    dev_t device;
    ino_t inode;
    mode_t type;
};

static struct {
    pthread_mutex_t lock;
    size_t count;
    struct entry entries[DESCRIPTORS_MAX];
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char gone[] = "was closed";
static const char replaced[] = "was closed, and is another file now";

/* Under the lock. */
static void end(int fd, const char *what, const char *wrong) __attribute__((noreturn));
static void end(int fd, const char *what, const char *wrong)
{
    pthread_mutex_unlock(&known.lock);
    ending_now("descriptor %d, %s, %s by something else in this process, such as a handler that "
               "closes one twice: ending, for nothing can be trusted to go where it belongs",
               fd, what, wrong);
}

/* Sockets, pipes and files have inodes of their own; what epoll, eventfd and timerfd make share
 * one, so for these the kernel is asked whether the set has that very file: EEXIST. */
static void check_set(const struct entry *entry)
{
    struct epoll_event none = {.events = 0};

    if (epoll_ctl(entry->set, EPOLL_CTL_ADD, entry->fd, &none) == 0)
        end(entry->fd, entry->what, replaced);
    if (errno != EEXIST)
        end(entry->set, "the epoll set of an event loop", errno == EBADF ? gone : replaced);
}

/* Under the lock. */
static void check(const struct entry *entry)
{
    struct stat now;

    if (fstat(entry->fd, &now) != 0)
        end(entry->fd, entry->what, gone);
    if (now.st_dev != entry->device || now.st_ino != entry->inode ||
        (now.st_mode & S_IFMT) != entry->type)
        end(entry->fd, entry->what, replaced);
    if (entry->set >= 0)
        check_set(entry);
}

/* Under the lock. @return NULL: it is not there */
static struct entry *find(int fd)
{
    for (size_t i = 0; i < known.count; i++)
        if (known.entries[i].fd == fd)
            return &known.entries[i];
    return NULL;
}

/* A child of fork(2) may close what its parent needs. */
static void leave_to_parent(void)
{
    pthread_mutex_init(&known.lock, NULL);
    known.count = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, leave_to_parent);
}

void descriptors_add(int fd, int set, const char *what)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct entry *there;
    struct stat now;

    if (fd < 0 || fstat(fd, &now) != 0)
        return;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&known.lock);
    there = find(fd);
    if (there) /* the kernel has given the number away anew */
        end(fd, there->what, gone);
    if (known.count < DESCRIPTORS_MAX)
        known.entries[known.count++] =
            (struct entry){fd, set, what, now.st_dev, now.st_ino, now.st_mode & S_IFMT};
    pthread_mutex_unlock(&known.lock);
}

static void take_out(int fd, bool checked)
{
    struct entry *there;

    pthread_mutex_lock(&known.lock);
    there = find(fd);
    if (there) {
        if (checked)
            check(there);
        *there = known.entries[--known.count];
    }
    pthread_mutex_unlock(&known.lock);
}

void descriptors_remove(int fd)
{
    take_out(fd, true);
}

void descriptors_forget(int fd)
{
    take_out(fd, false);
}

void descriptors_check(void)
{
    pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++)
        check(&known.entries[i]);
    pthread_mutex_unlock(&known.lock);
}

void descriptors_close(int fd)
{
    if (fd < 0)
        return;
    descriptors_remove(fd);
    close(fd);
}
