/* notify.c - see notify.h. libsystemd has this, too, and needs libcap, liblzma, libzstd and liblz4
 * for its other parts, in every process that loads it.
 */
#include "base/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"

#define SOCKET_NAME   "NOTIFY_SOCKET"
#define WATCHDOG_NAME "WATCHDOG_USEC"
#define PID_NAME      "WATCHDOG_PID"

/* ---- the environment ---- */

/* A path ends with a NUL; an abstract name begins with one, in place of the @, and is as long as
 * the address says: unix(7). */
static enum warren_status read_address(struct notify *notify, const char *text,
                                       struct warren_error *error)
{
    const size_t max = sizeof notify->address.sun_path - 1;
    size_t len = strlen(text);

    if ((*text != '/' && *text != '@') || len < 2 || len > max)
        return error_set(error, WARREN_EINVAL,
                         SOCKET_NAME "=%.120s: expected a path, or a name behind @, of 2 to %zu "
                                     "bytes; the service manager is told nothing",
                         text, max);
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, len + 1);
    if (*text == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*text == '/'));
    return WARREN_OK;
}

/* @return false: it is no number of 1 or more */
static bool read_number(const char *text, int64_t *ret_number)
{
    char *end;

    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && *ret_number > 0;
}

static enum warren_status refuse_number(const char *name, const char *text, const char *what,
                                        struct warren_error *error)
{
    return error_set(error, WARREN_EINVAL,
                     "%s=%.120s: expected %s, at least 1; there is no watchdog", name, text, what);
}

/* What was meant for another process, a parent of this one, is not for us. */
static enum warren_status read_watchdog(struct notify *notify, const char *text, const char *pid,
                                        struct warren_error *error)
{
    int64_t period_us;
    int64_t number = getpid();

    if (pid && !read_number(pid, &number))
        return refuse_number(PID_NAME, pid, "a process id", error);
    if (!read_number(text, &period_us))
        return refuse_number(WATCHDOG_NAME, text, "microseconds", error);
    if (number == getpid())
        notify->watchdog_us = period_us;
    return WARREN_OK;
}

enum warren_status notify_take(struct notify *notify, struct warren_error *error)
{
    const char *address = getenv(SOCKET_NAME);
    const char *watchdog = getenv(WATCHDOG_NAME);
    enum warren_status status = WARREN_OK;

    *notify = (struct notify){.address_len = 0};
    if (address && *address)
        status = read_address(notify, address, error);
    if (notify_is_on(notify) && watchdog && *watchdog)
        status = read_watchdog(notify, watchdog, getenv(PID_NAME), error);
    unsetenv(SOCKET_NAME);
    unsetenv(WATCHDOG_NAME);
    unsetenv(PID_NAME);
    return status;
}

/* ---- sending ---- */

static enum warren_status failed(const struct notify *notify, struct warren_error *error)
{
    const char *path = notify->address.sun_path;
    int failure = errno;

    return error_set(error, WARREN_EIO, SOCKET_NAME "=%s%s: %s", *path ? "" : "@",
                     *path ? path : path + 1, strerrordesc_np(failure));
}

enum warren_status notify_send(const struct notify *notify, const char *text,
                               struct warren_error *error)
{
    const struct timeval patience = {.tv_usec = NOTIFY_SEND_MS * 1000};
    enum warren_status status = WARREN_OK;
    int fd;

    if (!notify_is_on(notify))
        return WARREN_OK;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(notify, error);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
               notify->address_len) < 0)
        status = failed(notify, error);
    close(fd);
    return status;
}
