/* notify.h - tells the service manager that started this process how it is: lines of NAME=value, as
 * datagrams to the socket that NOTIFY_SOCKET names. The protocol is that of sd_notify(3) and
 * sd_watchdog_enabled(3). Each message has a socket of its own, so there is no descriptor that a
 * handler could close.
 * Thread: one. Elsewhere: what is told, and when (app/worker_service.h).
 */
#ifndef WARREN_BASE_NOTIFY_H
#define WARREN_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <warren/status.h>

/** Of one message, in bytes. */
#define NOTIFY_TEXT_MAX 2048
/** The longest wait for a manager that does not read. */
#define NOTIFY_SEND_MS 100

/** Zeroed: nobody is told. */
struct notify {
    struct sockaddr_un address;
    socklen_t address_len; /* 0: nobody is told */
    int64_t watchdog_us;   /* how often WATCHDOG=1 is to come at least; 0: it is not awaited */
};

/**
 * Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and remove them from the environment: what
 * this process starts is not the service. To be called while there is one thread.
 *
 * @return WARREN_OK, also if there are none; WARREN_EINVAL with @error: one is wrong, and what it
 *         says is not done
 */
enum warren_status notify_take(struct notify *notify, struct warren_error *error);

static inline bool notify_is_on(const struct notify *notify)
{
    return notify->address_len > 0;
}

/**
 * Send @text, at most NOTIFY_TEXT_MAX bytes. Nothing if nobody is to be told.
 *
 * @return WARREN_OK; WARREN_EIO with @error: it did not arrive
 */
enum warren_status notify_send(const struct notify *notify, const char *text,
                               struct warren_error *error);

#endif
