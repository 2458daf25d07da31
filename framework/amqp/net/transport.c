/* transport.c - see transport.h; the TLS half is in tls.c. */
#include "amqp/net/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/error.h"

#include "amqp/net/tls_private.h"

/* A peer that is gone is noticed after two minutes of silence. */
#define KEEP_IDLE_S  60
#define KEEP_EVERY_S 10
#define KEEP_TRIES   6

static enum warren_status connect_fault(struct warren_error *error, int reason)
{
    if (reason == ECONNREFUSED)
        return error_set(error, WARREN_EIO,
                         "connection refused: nothing listens at that address and port");
    return error_set(error, WARREN_EIO, "cannot connect: %s", strerrordesc_np(reason));
}

enum warren_status transport_connect(struct transport *transport, const struct sockaddr *address,
                                     socklen_t len, struct warren_error *error)
{
    int one = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result;

    memset(transport, 0, sizeof *transport);
    transport->fd = -1;
    if (fd < 0)
        return error_set(error, WARREN_EIO, "cannot make a socket: %s", strerrordesc_np(errno));
    /* without it, small frames wait for the peer's acknowledgement */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    result = connect(fd, address, len);
    if (result < 0 && errno != EINPROGRESS && errno != EINTR) {
        connect_fault(error, errno);
        close(fd);
        return WARREN_EIO;
    }
    descriptors_add(fd, -1, "a socket to the broker");
    transport->fd = fd;
    transport->wants_write = true;
    return WARREN_OK;
}

/* TCP_USER_TIMEOUT would bound sent data, too, but it also ends a connection that the broker does
 * not read, as it may for long while an alarm is on. */
void transport_keep_alive(struct transport *transport)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_EVERY_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEP_TRIES}};

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(transport->fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

enum warren_status transport_connected(struct transport *transport, struct warren_error *error)
{
    int reason = 0;
    socklen_t len = sizeof reason;

    transport->wants_write = false;
    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &reason, &len) < 0)
        reason = errno;
    return reason ? connect_fault(error, reason) : WARREN_OK;
}

ssize_t transport_recv(int fd, void *data, size_t size, bool *ret_later)
{
    ssize_t got;

    do {
        got = recv(fd, data, size, 0);
    } while (got < 0 && errno == EINTR);
    *ret_later = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return got;
}

ssize_t transport_send(int fd, const void *data, size_t len, bool *ret_later)
{
    ssize_t sent;

    do {
        sent = send(fd, data, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    *ret_later = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return sent;
}

static ssize_t plain_read(struct transport *transport, void *data, size_t size,
                          struct warren_error *error)
{
    ssize_t got = transport_recv(transport->fd, data, size, &transport->wants_read);

    transport->wants_write = false;
    if (got > 0)
        return got;
    if (transport->wants_read)
        return 0;
    if (got == 0)
        error_set(error, WARREN_EIO, "the peer closed the connection");
    else
        error_set(error, WARREN_EIO, "cannot read: %s", strerrordesc_np(errno));
    return -1;
}

static ssize_t plain_write(struct transport *transport, const void *data, size_t len,
                           struct warren_error *error)
{
    ssize_t sent = transport_send(transport->fd, data, len, &transport->wants_write);

    transport->wants_read = false;
    if (sent >= 0) {
        transport->wants_write = (size_t)sent < len;
        return sent;
    }
    if (transport->wants_write)
        return 0;
    error_set(error, WARREN_EIO, "cannot write: %s", strerrordesc_np(errno));
    return -1;
}

ssize_t transport_read(struct transport *transport, void *data, size_t size,
                       struct warren_error *error)
{
    if (size == 0)
        return 0;
    if (transport->tls)
        return tls_read(transport, data, size, error);
    return plain_read(transport, data, size, error);
}

bool transport_pending(const struct transport *transport)
{
    return transport->tls && tls_pending(transport);
}

ssize_t transport_write(struct transport *transport, const void *data, size_t len,
                        struct warren_error *error)
{
    if (len == 0)
        return 0;
    if (transport->tls)
        return tls_write(transport, data, len, error);
    return plain_write(transport, data, len, error);
}

void transport_close(struct transport *transport)
{
    if (transport->tls)
        tls_close(transport);
    descriptors_close(transport->fd);
    transport->fd = -1;
    transport->wants_read = transport->wants_write = false;
}
