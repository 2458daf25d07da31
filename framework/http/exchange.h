/* exchange.h - a request and its answer, as a handler sees them.
 * Thread: the server's. Elsewhere: who reads and sends them (connection.c).
 */
#ifndef WARREN_HTTP_EXCHANGE_H
#define WARREN_HTTP_EXCHANGE_H

#include "base/json_writer.h"
#include "http/request.h"

#define HTTP_TYPE_JSON "application/json"

/** Handed to a handler, and over when that has returned. */
struct http_exchange;

/**
 * Answers, once, before it returns. It must not block: all others wait.
 *
 * @user  of http_server_options
 */
typedef void http_handler_fn(struct http_exchange *exchange, void *user);

/** A row of the table. HEAD is answered as GET, without the body. */
struct http_route {
    const char *method; /* "GET" */
    const char *path;
    bool needs_token; /* if the server has one */
    http_handler_fn *handle;
};

const struct http_request *http_exchange_request(const struct http_exchange *exchange);

/**
 * The answer, of @len bytes, which are copied.
 *
 * @status  such as 200
 * @type    of the body, such as HTTP_TYPE_JSON
 */
void http_answer(struct http_exchange *exchange, int status, const char *type, const void *body,
                 size_t len);
/** {"error": WHY}, made of any text. */
void http_answer_error(struct http_exchange *exchange, int status, const char *why);

#endif
