/* manager.h - a service manager's end of sd_notify(3): a datagram socket, and what came on it.
 * Thread: the test's. Aborts where the test machine is at fault.
 */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support/test.h"

#define MANAGER_ALL_MAX 65536

struct manager {
    int fd;
    char name[128]; /* as NOTIFY_SOCKET has it */
    char last[4096];
    char all[MANAGER_ALL_MAX]; /* all messages so far, each behind the other */
    pid_t sender;              /* of the last one */
};

/** @path: where its socket is, or NULL: an abstract name. */
static inline void manager_open(struct manager *m, const char *path)
{
    static int count;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int on = 1;

    *m = (struct manager){.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (path)
        snprintf(m->name, sizeof m->name, "%s", path);
    else
        snprintf(m->name, sizeof m->name, "@warren-test-%d-%d", (int)getpid(), count++);
    memcpy(address.sun_path, m->name, strlen(m->name) + 1);
    if (!path)
        address.sun_path[0] = '\0';
    if (m->fd < 0 ||
        bind(m->fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m->name) +
                         (path != NULL))) != 0 ||
        setsockopt(m->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        abort();
}

/** Also one that was not opened, if it is zeroed but for fd: -1. */
static inline void manager_close(struct manager *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

/** The next message within @ms; NULL: none came. Valid until the next call. */
static inline const char *manager_next(struct manager *m, int ms)
{
    struct pollfd ready = {.fd = m->fd, .events = POLLIN};
    char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec data = {m->last, sizeof m->last - 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head;
    struct ucred from;
    ssize_t len;

    if (poll(&ready, 1, ms) != 1)
        return NULL;
    len = recvmsg(m->fd, &message, 0);
    if (len < 0)
        abort();
    m->last[len] = '\0';
    head = CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_type != SCM_CREDENTIALS)
        abort();
    memcpy(&from, CMSG_DATA(head), sizeof from);
    m->sender = from.pid;
    if (strlen(m->all) + (size_t)len < sizeof m->all)
        memcpy(m->all + strlen(m->all), m->last, (size_t)len + 1);
    return m->last;
}

/** Whether one of the messages that come within @ms has @part; `last` is that one then. */
static inline bool manager_hears(struct manager *m, const char *part, int ms)
{
    struct timespec end, now;
    const char *text;

    clock_gettime(CLOCK_MONOTONIC, &end);
    do {
        text = manager_next(m, 50);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!(text && strstr(text, part)) &&
             (now.tv_sec - end.tv_sec) * 1000 + (now.tv_nsec - end.tv_nsec) / 1000000 < ms);
    return text && strstr(text, part);
}

#endif
