/* server.c - see server.h. Here: the socket, the thread, how many there are and how long. */
#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/net/tls_server.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/log_event.h"
#include "base/thread.h"
#include "http/server_private.h"
#include "http/stream.h"

#define SWEEP_MS      250
#define TOLD_MS       60000 /* between two lines about too many connections */
#define FLUSH_MS      1000  /* for answers that are on their way at the end */
#define FLUSH_LOOK_MS 10
#define BACKLOG       128
#define ACCEPTS_MAX   16 /* a turn */

/* ---- files ---- */

enum warren_status http_tls_check(const struct tls_options *tls, struct warren_error *error)
{
    SSL_CTX *made = NULL;
    enum warren_status status = tls_server_context_new(tls, &made, error);

    SSL_CTX_free(made);
    return status;
}

static bool has_tls(const struct tls_options *tls)
{
    return tls->cert_file || tls->key_file || tls->ca_file;
}

static enum warren_status load(const struct http_server_options *options,
                               struct http_token *ret_token, SSL_CTX **ret_tls,
                               struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    *ret_tls = NULL;
    if (options->token_file)
        status = http_token_load(options->token_file, ret_token, error);
    if (status == WARREN_OK && has_tls(&options->tls))
        status = tls_server_context_new(&options->tls, ret_tls, error);
    return status;
}

/* What is open keeps what it began with. */
static void reload(void *arg)
{
    struct http_server *server = arg;
    struct warren_error error = {WARREN_OK, ""};
    struct http_token token = {0};
    SSL_CTX *tls;

    if (load(&server->options, &token, &tls, &error) != WARREN_OK) {
        log_event(WARREN_LOG_ERROR, "admin: token and certificate stay as they were",
                  LOG_TEXT("reason", error.text));
        return;
    }
    server->token = token;
    SSL_CTX_free(server->tls);
    server->tls = tls;
}

/* ---- connections ---- */

/* How soon a connection makes room for another one: 0 not at all. Who idles first, then who has not
 * finished its handshake or its request: else a peer that begins many could keep all others out. */
static int rank_of(const struct http_connection *connection)
{
    if (connection->state == HTTP_WAITING)
        return 2;
    return connection->state == HTTP_SECURING || connection->state == HTTP_HEAD ? 1 : 0;
}

/* Of those that make room soonest the one that has waited longest. */
static struct http_connection *least_missed(struct http_server *server)
{
    struct http_connection *found = NULL;
    int best = 1;

    LIST_EACH(link, &server->connections) {
        struct http_connection *connection = list_entry(link, struct http_connection, link);
        int rank = rank_of(connection);

        if (rank > best || (rank == best && (!found || connection->until_ms < found->until_ms))) {
            found = connection;
            best = rank;
        }
    }
    return found;
}

/* @return whether there is */
static bool make_room(struct http_server *server)
{
    int64_t now_ms = loop_now_ms(server->loop);
    struct http_connection *missed;

    if (server->connection_count < HTTP_CONNECTIONS_MAX)
        return true;
    warren_count(server->series.refused, 1);
    if (server->told_ms == 0 || now_ms - server->told_ms >= TOLD_MS) {
        server->told_ms = now_ms;
        log_warn(
            "admin: %d connections are open, and others come: those that idle, or do not finish "
            "their request, make room",
            HTTP_CONNECTIONS_MAX);
    }
    missed = least_missed(server);
    http_connection_free(missed);
    return missed != NULL;
}

static void watch(struct http_server *server)
{
    warren_set(server->series.open, server->connection_count);
    if (server->connection_count > 0 && !loop_timer_armed(&server->sweep))
        loop_timer_arm_ms(&server->sweep, SWEEP_MS);
}

/* Without a descriptor to accept with, the socket would be ready for ever: the sweep looks again.
 */
static void rest(struct http_server *server)
{
    loop_fd_want(&server->accepting, 0);
    loop_timer_arm_ms(&server->sweep, SWEEP_MS);
}

static void accept_some(void *arg, unsigned readiness)
{
    struct http_server *server = arg;

    (void)readiness;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                rest(server);
            break;
        }
        if (make_room(server))
            http_connection_new(server, fd);
        else
            close(fd);
    }
    watch(server);
}

static void sweep(void *arg)
{
    struct http_server *server = arg;
    int64_t now_ms = loop_now_ms(server->loop);

    LIST_EACH(link, &server->connections) {
        struct http_connection *connection = list_entry(link, struct http_connection, link);

        if (connection->until_ms <= now_ms)
            http_connection_expire(connection);
    }
    loop_fd_want(&server->accepting, server->stop_ms == 0 ? LOOP_READ : 0);
    watch(server);
}

/* ---- life ---- */

/* Answers that are there, or come soon from other threads, still go out if their peers take them.
 */
static void stop(void *arg)
{
    struct http_server *server = arg;
    int64_t now_ms = loop_now_ms(server->loop);
    size_t unsent = 0;

    loop_fd_want(&server->accepting, 0);
    if (server->stop_ms == 0)
        server->stop_ms = now_ms + FLUSH_MS;
    LIST_EACH(link, &server->connections) {
        struct http_connection *connection = list_entry(link, struct http_connection, link);

        if (connection->state == HTTP_ANSWERING)
            unsent += http_connection_unsent(connection);
    }
    if ((unsent > 0 || !list_empty(&server->laters)) && now_ms < server->stop_ms)
        loop_timer_arm_ms(&server->stopping, FLUSH_LOOK_MS);
    else
        loop_stop(server->loop);
}

static void *run(void *arg)
{
    struct http_server *server = arg;

    loop_fd_want(&server->accepting, LOOP_READ);
    loop_run(server->loop);
    return NULL;
}

static enum warren_status bind_error(const struct http_address *address, struct warren_error *error)
{
    char text[HTTP_ADDRESS_TEXT_MAX];
    int number = errno;

    http_address_text(address, text);
    if (number == EADDRINUSE)
        return error_set(error, WARREN_ECONFIG,
                         "cannot listen on %s: somebody else listens there already", text);
    if (number == EADDRNOTAVAIL)
        return error_set(error, WARREN_ECONFIG,
                         "cannot listen on %s: this machine has no such address", text);
    if (number == EACCES)
        return error_set(error, WARREN_ECONFIG,
                         "cannot listen on %s: ports below 1024 are not for this user", text);
    return error_set(error, WARREN_ECONFIG, "cannot listen on %s: %s", text,
                     strerrordesc_np(number));
}

static enum warren_status listen_at(struct http_server *server, struct warren_error *error)
{
    struct http_address *address = &server->address;
    int yes = 1;

    *address = *server->options.address;
    server->fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Connections of the process before this one may still be in the kernel. */
    if (server->fd < 0 || setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(server->fd, (struct sockaddr *)&address->at, address->len) != 0 ||
        listen(server->fd, BACKLOG) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address->at, &address->len) != 0)
        return bind_error(server->options.address, error);
    descriptors_add(server->fd, -1, server->options.what);
    return WARREN_OK;
}

static enum warren_status make_loop(struct http_server *server, struct warren_error *error)
{
    enum warren_status status = loop_new(clock_monotonic(), &server->loop);

    if (status == WARREN_OK)
        status = loop_timer_init(&server->sweep, server->loop, sweep, server);
    if (status == WARREN_OK)
        status = loop_timer_init(&server->stopping, server->loop, stop, server);
    if (status == WARREN_OK)
        status = loop_fd_init(&server->accepting, server->loop, server->fd, accept_some, server);
    loop_task_init(&server->stop, stop, server);
    loop_task_init(&server->reload, reload, server);
    return status == WARREN_OK
               ? status
               : error_set(error, status, "event loop: %s", warren_status_name(status));
}

enum warren_status http_server_new(const struct http_server_options *options,
                                   struct http_server **ret_server, struct warren_error *error)
{
    struct http_server *server = calloc(1, sizeof *server);
    enum warren_status status;

    if (!server)
        return error_set(error, WARREN_ENOMEM, "no memory for a listener");
    server->fd = -1;
    server->options = *options;
    server->has_token = options->token_file != NULL;
    if (!server->options.request_ms)
        server->options.request_ms = HTTP_REQUEST_MS;
    if (!server->options.idle_ms)
        server->options.idle_ms = HTTP_IDLE_MS;
    if (!server->options.lag_ms)
        server->options.lag_ms = HTTP_LAG_MS;
    list_init(&server->connections);
    list_init(&server->laters);
    http_metrics_init(server);
    status = load(options, &server->token, &server->tls, error);
    if (status == WARREN_OK)
        status = listen_at(server, error);
    if (status == WARREN_OK)
        status = make_loop(server, error);
    if (status != WARREN_OK) {
        http_server_free(server);
        return status;
    }
    *ret_server = server;
    return WARREN_OK;
}

enum warren_status http_server_start(struct http_server *server, struct warren_error *error)
{
    enum warren_status status =
        thread_start(&server->thread, server->options.name, run, server, error);

    server->started = status == WARREN_OK;
    return status;
}

void http_server_text(const struct http_server *server, char text[HTTP_ADDRESS_TEXT_MAX])
{
    http_address_text(&server->address, text);
}

struct loop *http_server_loop(struct http_server *server)
{
    return server->loop;
}

void http_server_reload(struct http_server *server)
{
    loop_post(server->loop, &server->reload);
}

void http_server_stop(struct http_server *server)
{
    if (!server->started)
        return;
    loop_post(server->loop, &server->stop);
    pthread_join(server->thread, NULL);
    server->started = false;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_server_stop(server);
    LIST_EACH(link, &server->connections)
        http_connection_free(list_entry(link, struct http_connection, link));
    http_laters_free(server);
    loop_fd_done(&server->accepting);
    loop_timer_done(&server->sweep);
    loop_timer_done(&server->stopping);
    descriptors_close(server->fd);
    loop_free(server->loop);
    SSL_CTX_free(server->tls);
    metric_release_all(&server->series, sizeof server->series);
    explicit_bzero(&server->token, sizeof server->token);
    free(server);
}
