/* connection.c - one peer of a server: what it sends, when it may send, and what goes back.
 *
 * One request at a time; while its answer is sent nothing is read, so a peer that sends on fills
 * its own buffers, and one that has closed its half still gets the answer.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "http/server_private.h"

/* What is taken from the socket ahead of what is looked at, in bytes. */
#define READ_AHEAD ((size_t)32 * 1024)

static int64_t now_ms(const struct http_connection *c)
{
    return loop_now_ms(c->server->loop);
}

static struct evbuffer *input(const struct http_connection *c)
{
    return bufferevent_get_input(c->bev);
}

/* From its first byte to its last, a request has one and the same time. */
static void enter(struct http_connection *c, enum http_state next)
{
    const struct http_server_options *options = &c->server->options;

    if (next == HTTP_WAITING)
        c->until_ms = now_ms(c) + options->idle_ms;
    else if (next == HTTP_LINGERING)
        c->until_ms = now_ms(c) + HTTP_LINGER_MS;
    else if (next != HTTP_BODY)
        c->until_ms = now_ms(c) + options->request_ms;
    c->state = next;
}

static void forget_exchange(struct http_connection *c)
{
    free(c->exchange.head);
    buffer_done(&c->exchange.body);
    c->exchange = (struct http_exchange){.head = NULL};
}

/* ---- reading ---- */

static void take_body(struct http_connection *c)
{
    struct http_exchange *exchange = &c->exchange;
    size_t want = exchange->request.body_len - buffer_len(&exchange->body);
    size_t have = evbuffer_get_length(input(c));
    size_t len = have < want ? have : want;

    if (len > 0 && buffer_reserve(&exchange->body, len) != WARREN_OK) {
        http_refuse(c, 503, "there is no memory for the body");
        return;
    }
    if (len > 0)
        evbuffer_remove(input(c), buffer_back(&exchange->body), len);
    buffer_added(&exchange->body, len);
    if (len < want)
        return;
    if (exchange->request.body_len > 0)
        exchange->request.body =
            (struct warren_bytes){buffer_front(&exchange->body), buffer_len(&exchange->body)};
    http_route(c);
}

static void take_head(struct http_connection *c, const char *data, size_t len)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_exchange *exchange = &c->exchange;
    const char *why;
    int status;

    exchange->head = malloc(len);
    if (!exchange->head) {
        http_refuse(c, 503, "there is no memory for the request");
        return;
    }
    memcpy(exchange->head, data, len);
    evbuffer_drain(input(c), len);
    status = http_request_parse(exchange->head, len, &exchange->request, &why);
    if (status != 0) {
        http_refuse(c, status, why);
        return;
    }
    buffer_init(&exchange->body, HTTP_BODY_MAX);
    enter(c, HTTP_BODY);
    if (exchange->request.expects_continue &&
        evbuffer_get_length(input(c)) < exchange->request.body_len)
        bufferevent_write(c->bev, go_on, sizeof go_on - 1);
}

/* Empty lines before a request are allowed (RFC 9112, 2.2). @return false: there is nothing yet */
static bool begin(struct http_connection *c)
{
    char first;

    while (evbuffer_copyout(input(c), &first, 1) == 1 && (first == '\r' || first == '\n'))
        evbuffer_drain(input(c), 1);
    if (evbuffer_get_length(input(c)) == 0)
        return false;
    enter(c, HTTP_HEAD);
    return true;
}

/* @return false: the head is not whole */
static bool find_head(struct http_connection *c)
{
    size_t have = evbuffer_get_length(input(c));
    size_t look = have < HTTP_HEAD_MAX ? have : HTTP_HEAD_MAX;
    const char *data = (const char *)evbuffer_pullup(input(c), (ev_ssize_t)look);
    size_t len = data ? http_head_len(data, look) : 0;

    if (len > 0) {
        take_head(c, data, len);
        return true;
    }
    if (look == HTTP_HEAD_MAX)
        http_refuse(c, 431, "the head of the request is above 8 KiB");
    return false;
}

static void take(struct http_connection *c)
{
    if (c->state == HTTP_WAITING && !begin(c))
        return;
    if (c->state == HTTP_HEAD && !find_head(c))
        return;
    if (c->state == HTTP_BODY)
        take_body(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct http_connection *c = arg;

    (void)bev;
    if (c->state == HTTP_PENDING)
        return;
    if (c->state == HTTP_LINGERING || c->state == HTTP_STREAMING)
        evbuffer_drain(input(c), evbuffer_get_length(input(c)));
    else
        take(c);
}

/* ---- the end of an answer ---- */

/* Not closed at once: to close with unread bytes would reset the connection, and the peer might
 * lose the answer. */
static void linger(struct http_connection *c)
{
    enter(c, HTTP_LINGERING);
    if (c->ssl)
        SSL_shutdown(c->ssl);
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    evbuffer_drain(input(c), evbuffer_get_length(input(c)));
    bufferevent_enable(c->bev, EV_READ);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct http_connection *c = arg;
    bool keep;

    if (c->state == HTTP_STREAMING && http_connection_unsent(c) == 0)
        http_stream_drained(c);
    if (c->state != HTTP_ANSWERING || http_connection_unsent(c) > 0)
        return;
    keep = c->exchange.request.keep_alive;
    forget_exchange(c);
    if (!keep) {
        linger(c);
        return;
    }
    enter(c, HTTP_WAITING);
    bufferevent_enable(bev, EV_READ);
    take(c); /* the next one may be there already */
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct http_connection *c = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        enter(c, HTTP_WAITING);
    else
        http_connection_free(c);
}

/* ---- life ---- */

size_t http_connection_unsent(const struct http_connection *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static struct bufferevent *make(struct http_connection *c, int fd)
{
    struct event_base *base = loop_base(c->server->loop);
    struct bufferevent *bev;

    if (!c->server->tls)
        return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->ssl = SSL_new(c->server->tls);
    if (!c->ssl)
        return NULL;
    bev = bufferevent_openssl_socket_new(base, fd, c->ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(c->ssl);
    return bev;
}

void http_connection_new(struct http_server *server, int fd)
{
    struct http_connection *c = calloc(1, sizeof *c);

    if (c) {
        c->server = server;
        c->bev = make(c, fd);
    }
    if (!c || !c->bev) {
        free(c);
        close(fd);
        return;
    }
    list_push(&server->connections, &c->link);
    server->connection_count++;
    enter(c, c->ssl ? HTTP_SECURING : HTTP_WAITING);
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, READ_AHEAD);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void http_connection_expire(struct http_connection *c)
{
    if (c->state == HTTP_HEAD || c->state == HTTP_BODY)
        http_refuse(c, 408, "the request took too long");
    else
        http_connection_free(c);
}

void http_connection_free(struct http_connection *c)
{
    if (!c)
        return;
    http_later_forget(c->later);
    http_stream_done(c);
    forget_exchange(c);
    list_remove(&c->link);
    c->server->connection_count--;
    warren_set(c->server->series.open, c->server->connection_count);
    bufferevent_free(c->bev);
    free(c);
}
