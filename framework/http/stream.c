/* stream.c - see stream.h. */
#include "http/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "http/server_private.h"

/* What the kernel keeps for one that does not read, in bytes. */
#define SEND_BUFFER (128 * 1024)

struct http_piece {
    uint32_t references;
    size_t len;
    uint8_t bytes[];
};

struct http_piece *http_piece_new(const void *bytes, size_t len)
{
    struct http_piece *piece = malloc(sizeof *piece + len);

    if (!piece)
        return NULL;
    piece->references = 1;
    piece->len = len;
    memcpy(piece->bytes, bytes, len);
    return piece;
}

void http_piece_unref(struct http_piece *piece)
{
    if (piece && --piece->references == 0)
        free(piece);
}

static void sent(const void *bytes, size_t len, void *piece)
{
    (void)bytes;
    (void)len;
    http_piece_unref(piece);
}

static void add(struct http_connection *c, struct http_piece *piece)
{
    if (evbuffer_add_reference(bufferevent_get_output(c->bev), piece->bytes, piece->len, sent,
                               piece) == 0)
        piece->references++;
    c->until_ms = loop_now_ms(c->server->loop) + c->server->options.lag_ms;
}

static void watch(struct http_connection *c, int change)
{
    c->server->watchers = (uint32_t)((int)c->server->watchers + change);
    warren_set(c->server->series.watching, c->server->watchers);
}

void http_answer_stream(struct http_exchange *exchange, const char *type, struct http_piece *first)
{
    struct http_connection *c = list_entry(exchange, struct http_connection, exchange);
    int size = SEND_BUFFER;

    if (strcmp(exchange->request.method, "HEAD") == 0) {
        http_answer(exchange, 200, type, NULL, 0);
        return;
    }
    if (c->server->watchers >= HTTP_WATCHERS_MAX) {
        http_answer_error(exchange, 503, "too many watch already");
        return;
    }
    setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    http_begin_stream(c, type);
    c->state = HTTP_STREAMING;
    c->until_ms = loop_now_ms(c->server->loop) + c->server->options.lag_ms;
    watch(c, 1);
    if (first)
        add(c, first);
}

void http_stream_drained(struct http_connection *c)
{
    c->until_ms = INT64_MAX;
}

void http_stream_done(struct http_connection *c)
{
    if (c->state != HTTP_STREAMING)
        return;
    if (c->until_ms <= loop_now_ms(c->server->loop))
        warren_count(c->server->series.lagged, 1);
    watch(c, -1);
}

uint32_t http_stream_watchers(const struct http_server *server)
{
    return server->watchers;
}

void http_stream_send(struct http_server *server, struct http_piece *piece)
{
    LIST_EACH(link, &server->connections) {
        struct http_connection *c = list_entry(link, struct http_connection, link);

        if (c->state == HTTP_STREAMING && http_connection_unsent(c) == 0)
            add(c, piece);
    }
}
