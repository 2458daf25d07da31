#include "support/mock.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/mock_private.h"
#include "support/socket.h"
#include "support/wait.h"

#define POLL_MS 20

struct mock {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the errors */
    int listener;
    uint16_t port;
    char *uri;
    mock_script *script;
    void *user;
    atomic_bool stop;
    atomic_int accepted;
    atomic_int finished;
    char error[256];
    char told[256];
};

bool mock_is_stopping(struct mock *mock)
{
    return atomic_load(&mock->stop);
}

void mock_fail(struct mock_peer *peer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(peer->error, sizeof peer->error, format, arguments);
    va_end(arguments);
    longjmp(peer->leave, 1);
}

static void run_script(struct mock *mock, struct mock_peer *peer)
{
    if (setjmp(peer->leave) == 0) {
        mock->script(peer, atomic_load(&mock->accepted), mock->user);
        atomic_fetch_add(&mock->finished, 1);
        return;
    }
    pthread_mutex_lock(&mock->lock);
    memcpy(mock->error, peer->error, sizeof mock->error);
    pthread_mutex_unlock(&mock->lock);
}

/* The client gets an orderly end and reads what was sent before it: a close with unread bytes in
 * our buffer would be a reset, and could take the last frames with it. */
static void end_connection(struct mock_peer *peer)
{
    char ignored[4096];
    int64_t deadline = now_ms() + 1000;
    struct pollfd poller = {.fd = peer->fd, .events = POLLIN};

    shutdown(peer->fd, SHUT_WR);
    while (now_ms() < deadline && !mock_is_stopping(peer->mock)) {
        if (poll(&poller, 1, POLL_MS) == 1 &&
            recv(peer->fd, ignored, sizeof ignored, MSG_DONTWAIT) <= 0)
            break;
    }
    close(peer->fd);
}

static void serve_one(struct mock *mock, int fd)
{
    struct mock_peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        abort();
    peer->mock = mock;
    peer->fd = fd;
    peer->frame_max = MOCK_FRAME_MAX;
    init_amqp_pool(&peer->pool, 4096);
    atomic_fetch_add(&mock->accepted, 1);
    run_script(mock, peer);
    end_connection(peer);
    empty_amqp_pool(&peer->pool);
    free(peer->body);
    free(peer);
}

static void *run(void *user)
{
    struct mock *mock = user;
    struct pollfd poller = {.fd = mock->listener, .events = POLLIN};

    while (!mock_is_stopping(mock)) {
        int fd = poll(&poller, 1, POLL_MS) == 1 ? accept(mock->listener, NULL, NULL) : -1;

        if (fd >= 0)
            serve_one(mock, fd);
    }
    return NULL;
}

struct mock *mock_new(mock_script *script, void *user)
{
    struct mock *mock = calloc(1, sizeof *mock);

    if (!mock)
        abort();
    pthread_mutex_init(&mock->lock, NULL);
    mock->script = script;
    mock->user = user;
    mock->listener = socket_listen(&mock->port);
    mock->uri = text("amqp://guest:guest@127.0.0.1:%u/", mock->port);
    if (pthread_create(&mock->thread, NULL, run, mock) != 0)
        abort();
    return mock;
}

void mock_free(struct mock *mock)
{
    if (!mock)
        return;
    atomic_store(&mock->stop, true);
    pthread_join(mock->thread, NULL);
    close(mock->listener);
    pthread_mutex_destroy(&mock->lock);
    free(mock->uri);
    free(mock);
}

uint16_t mock_port(const struct mock *mock)
{
    return mock->port;
}

const char *mock_uri(const struct mock *mock)
{
    return mock->uri;
}

int mock_accepted(struct mock *mock)
{
    return atomic_load(&mock->accepted);
}

int mock_finished(struct mock *mock)
{
    return atomic_load(&mock->finished);
}

const char *mock_error(struct mock *mock)
{
    pthread_mutex_lock(&mock->lock);
    memcpy(mock->told, mock->error, sizeof mock->told);
    pthread_mutex_unlock(&mock->lock);
    return mock->told;
}
