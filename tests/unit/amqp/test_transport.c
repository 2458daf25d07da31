/* test_transport.c - plain TCP. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "amqp/net/transport.h"
#include "support/test.h"

#define DEADLINE_MS 10000

/* A listener on a free port of the loopback. */
static int listen_somewhere(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void await(const struct transport *transport)
{
    struct pollfd watch = {.fd = transport->fd};

    assert_true(transport->wants_read || transport->wants_write);
    watch.events = transport->wants_write ? POLLOUT : POLLIN;
    assert_int_equal(poll(&watch, 1, DEADLINE_MS), 1);
}

/* Connect; the result is the peer's end. */
static int connect_pair(struct transport *transport)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    int peer;

    assert_int_equal(
        transport_connect(transport, (struct sockaddr *)&address, sizeof address, NULL), WARREN_OK);
    await(transport);
    assert_int_equal(transport_connected(transport, NULL), WARREN_OK);
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    close(listener);
    return peer;
}

/* The socket is nonblocking, close-on-exec, and does not delay small frames. */
static void a_socket_has_the_right_flags(void **state)
{
    struct transport transport;
    int peer = connect_pair(&transport);
    socklen_t len = sizeof(int);
    int no_delay = 0;

    (void)state;
    assert_true(fcntl(transport.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(transport.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(transport.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    assert_true(no_delay);
    transport_close(&transport);
    transport_close(&transport); /* harmless */
    assert_int_equal(transport.fd, -1);
    close(peer);
}

/* A port where nothing listens: connection refused, at once or when writable. */
static void a_closed_port_is_refused(void **state)
{
    struct transport transport;
    struct warren_error error = {0};
    struct sockaddr_in address;
    enum warren_status status;

    (void)state;
    close(listen_somewhere(&address));
    status = transport_connect(&transport, (struct sockaddr *)&address, sizeof address, &error);
    if (status == WARREN_OK) {
        await(&transport);
        status = transport_connected(&transport, &error);
    }
    assert_int_equal(status, WARREN_EIO);
    assert_non_null(strstr(error.text, "connection refused"));
    transport_close(&transport);
}

/* Bytes go in both directions; when there are none, a read says what it waits for. */
static void bytes_go_in_both_directions(void **state)
{
    struct transport transport;
    int peer = connect_pair(&transport);
    char data[8];

    (void)state;
    assert_int_equal(transport_read(&transport, data, sizeof data, NULL), 0);
    assert_true(transport.wants_read);
    assert_int_equal(transport_write(&transport, "hello", 5, NULL), 5);
    assert_int_equal(recv(peer, data, 5, MSG_WAITALL), 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(send(peer, "world", 5, 0), 5);
    await(&(struct transport){.fd = transport.fd, .wants_read = true});
    assert_int_equal(transport_read(&transport, data, sizeof data, NULL), 5);
    assert_memory_equal(data, "world", 5);
    assert_false(transport_pending(&transport));
    transport_close(&transport);
    close(peer);
}

/* A socket whose peer does not read takes what fits, then nothing. */
static void a_full_socket_stops_writing(void **state)
{
    const size_t total = (size_t)32 * 1024 * 1024;
    uint8_t *out = calloc(1, total);
    struct transport transport;
    int peer = connect_pair(&transport);
    size_t sent = 0;
    ssize_t more;

    (void)state;
    assert_non_null(out);
    while ((more = transport_write(&transport, out + sent, total - sent, NULL)) > 0) {
        sent += (size_t)more;
        assert_true(sent < total);
    }
    assert_int_equal(more, 0);
    assert_true(transport.wants_write);
    transport_close(&transport);
    close(peer);
    free(out);
}

/* Where there are no heartbeats, the kernel asks a silent peer, and gives up in two minutes. */
static void keep_alive(void **state)
{
    struct transport transport;
    int peer = connect_pair(&transport);
    int on = 0, idle = 0, every = 0, tries = 0;
    socklen_t len = sizeof on;

    (void)state;
    assert_int_equal(getsockopt(transport.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_int_equal(on, 0);
    transport_keep_alive(&transport);
    assert_int_equal(getsockopt(transport.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_int_equal(getsockopt(transport.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &len), 0);
    assert_int_equal(getsockopt(transport.fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, &len), 0);
    assert_int_equal(getsockopt(transport.fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, &len), 0);
    assert_int_equal(on, 1);
    assert_true(idle + every * tries <= 120);
    transport_close(&transport);
    close(peer);
}

/* A peer that closed is told by read; writing to it raises no SIGPIPE (whose default would end
 * this program). */
static void a_closed_peer_raises_no_signal(void **state)
{
    struct transport transport;
    struct warren_error error = {0};
    int peer = connect_pair(&transport);
    ssize_t sent = 1;
    char byte;

    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close(peer);
    await(&(struct transport){.fd = transport.fd, .wants_read = true});
    assert_int_equal(transport_read(&transport, &byte, 1, &error), -1);
    assert_non_null(strstr(error.text, "closed the connection"));
    for (int i = 0; i < 100 && sent > 0; i++) {
        sent = transport_write(&transport, "x", 1, &error); /* the first may still be taken */
        if (sent > 0)
            await(&(struct transport){.fd = transport.fd, .wants_write = true});
    }
    assert_int_equal(sent, -1);
    transport_close(&transport);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_has_the_right_flags),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(a_closed_port_is_refused),
        cmocka_unit_test(bytes_go_in_both_directions),
        cmocka_unit_test(a_full_socket_stops_writing),
        cmocka_unit_test(a_closed_peer_raises_no_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
