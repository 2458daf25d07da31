/* exchange.h - a request and its answer, as a handler sees them.
 * Thread: the server's. Elsewhere: who reads and sends them (connection.c).
 */
#ifndef WARREN_HTTP_EXCHANGE_H
#define WARREN_HTTP_EXCHANGE_H

#include "base/json_writer.h"
#include "http/address.h"
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

/** Who may ask; see guard.h for what a browser is kept from. */
enum http_access {
    HTTP_OPEN,  /* anybody */
    HTTP_READ,  /* who knows the token, if the server has one */
    HTTP_PAGE,  /* the same, and no page from elsewhere */
    HTTP_CHANGE /* the same, and nobody if the server has no token */
};

/** A row of the table. HEAD is answered as GET, without the body. */
struct http_route {
    const char *method; /* "GET" */
    const char *path;
    enum http_access access;
    http_handler_fn *handle;
    unsigned which; /* what a handler of several rows is asked for */
};

const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/** Of its row. */
unsigned http_exchange_which(const struct http_exchange *exchange);
/** Who asks: "127.0.0.1:40123", for the log; that of a proxy, if there is one. */
void http_exchange_peer(struct http_exchange *exchange, char text[HTTP_ADDRESS_TEXT_MAX]);

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

/* ---- an answer that takes its time ---- */

/** A request whose answer comes from another thread. */
struct http_later;

/**
 * In a handler, in place of an answer: it comes within @most_ms, or the peer is let go. Meanwhile
 * nothing of that peer is read; one that closes its half is taken to be gone.
 *
 * @return NULL: no memory; nothing has been answered
 */
struct http_later *http_answer_later(struct http_exchange *exchange, int64_t most_ms);
/**
 * The answer, as http_answer(); to whom is gone nothing. Once, before http_server_free(): @later is
 * of no more use. Thread: any.
 *
 * @body  of malloc(3), and the server's from now on; NULL: there was no memory for it
 */
void http_later_answer(struct http_later *later, int status, const char *type, char *body,
                       size_t len);
/** The same with {"error": WHY}. */
void http_later_error(struct http_later *later, int status, const char *why);
/** Nobody waits for it any more. Thread: any, before the answer. */
bool http_later_is_gone(const struct http_later *later);

#endif
