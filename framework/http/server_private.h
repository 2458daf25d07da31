/* server_private.h - what server.c (the socket, the thread), connection.c (what comes and goes),
 * answer.c (routes and answers), later.c (answers of other threads) and stream.c (answers without
 * an end) share. Thread: the server's.
 */
#ifndef WARREN_HTTP_SERVER_PRIVATE_H
#define WARREN_HTTP_SERVER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/ssl.h>

#include "base/list.h"
#include "base/metrics.h"
#include "http/server.h"
#include "http/token.h"
#include "loop/loop.h"

/* Statuses that are answered; see answer.c. */
#define HTTP_STATUSES 16

enum http_state {
    HTTP_SECURING,  /* the handshake of TLS */
    HTTP_WAITING,   /* nothing of a request has come */
    HTTP_HEAD,      /* a part of it has */
    HTTP_BODY,      /* the head is there, the body is not */
    HTTP_PENDING,   /* the answer comes later */
    HTTP_ANSWERING, /* nothing is read meanwhile */
    HTTP_STREAMING, /* the answer has no end; what comes is thrown away */
    HTTP_LINGERING  /* the last answer is sent; what still comes is thrown away */
};

struct http_exchange {
    struct http_request request;
    char *head; /* that the request's texts lie in */
    struct buffer body;
    int status;     /* of the answer; 0: none yet */
    unsigned which; /* of the route */
};

struct http_later {
    struct list link; /* of the server */
    struct http_server *server;
    struct http_connection *connection; /* the loop's; NULL: it is gone */
    atomic_bool is_gone;
    struct loop_task arrived;
    int status; /* of the answer, once it is there; the same of the rest */
    const char *type;
    char *body;
    size_t len;
};

struct http_connection {
    struct list link;
    struct http_server *server;
    struct bufferevent *bev;
    SSL *ssl; /* the bufferevent's; NULL: no TLS */
    enum http_state state;
    int64_t until_ms; /* by the loop's clock: the end of its patience */
    struct http_exchange exchange;
    struct http_later *later; /* HTTP_PENDING */
};

struct http_server {
    struct http_server_options options;
    struct loop *loop;
    int fd;
    struct http_address address; /* with the port */
    struct loop_fd accepting;
    struct loop_timer sweep; /* while there are connections, or accepting failed */
    int64_t told_ms;         /* when too many connections were logged last; 0: never */
    struct loop_task stop;
    struct loop_timer stopping; /* while the last answers go out */
    int64_t stop_ms;            /* when that ends; 0: it has not begun */
    struct loop_task reload;
    struct list connections; /* oldest first */
    struct list laters;
    uint32_t connection_count;
    bool has_token;
    struct http_token token;
    SSL_CTX *tls; /* NULL: none */
    struct {
        struct warren_series *requests[HTTP_STATUSES];
        struct warren_series *open;
        struct warren_series *refused;
        struct warren_series *watching;
        struct warren_series *lagged;
    } series;
    uint32_t watchers; /* connections that stream */
    pthread_t thread;
    bool started;
};

/* ---- connection.c ---- */

/** @fd is a new one, and owned; closed if there is no memory. */
void http_connection_new(struct http_server *server, int fd);
void http_connection_free(struct http_connection *connection);
/** Its time is over: answer that, if it has begun a request, and close it. */
void http_connection_expire(struct http_connection *connection);
/** Bytes that are to be sent. */
size_t http_connection_unsent(const struct http_connection *connection);

/* ---- later.c ---- */

/** Its connection is gone. NULL is fine. */
void http_later_forget(struct http_later *later);
/** Those whose answers never came, or came too late. The loop does not turn any more. */
void http_laters_free(struct http_server *server);

/* ---- stream.c ---- */

/** All that was written for it is sent. */
void http_stream_drained(struct http_connection *connection);
/** Before it is freed. */
void http_stream_done(struct http_connection *connection);

/* ---- answer.c ---- */

/** The request is whole: have it answered. */
void http_route(struct http_connection *connection);
/** The head of an answer whose end is that of the connection. */
void http_begin_stream(struct http_connection *connection, const char *type);
/** The request cannot be read: the answer is the last one. */
void http_refuse(struct http_connection *connection, int status, const char *why);
void http_metrics_init(struct http_server *server);

#endif
