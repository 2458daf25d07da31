/* request.h - the head of a request, HTTP/1.0 or 1.1, split and checked before anybody looks at it.
 * Strict where a lenient reader and a lenient proxy could disagree: lines end in CR LF, no line is
 * folded, a length stands there once. Bodies have a length; chunked ones are not taken.
 * Source: RFC 9112. Thread: none of its own. Elsewhere: how it comes (connection.c).
 */
#ifndef WARREN_HTTP_REQUEST_H
#define WARREN_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include <warren/handler.h>

/** Bytes of a head, the empty line included. */
#define HTTP_HEAD_MAX 8192
/** Lines of it. */
#define HTTP_HEADERS_MAX 100
/** Bytes of a body. */
#define HTTP_BODY_MAX ((size_t)1 << 20)

struct http_header {
    const char *name; /* as it came */
    const char *value;
};

/** Texts lie in the head. */
struct http_request {
    const char *method; /* "GET" */
    const char *path;   /* "/metrics": as it came, nothing decoded, without the query */
    const char *query;  /* behind the "?"; NULL: there is none */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct warren_bytes body;
    size_t body_len; /* that is announced */
    bool keep_alive;
    bool expects_continue; /* it waits for "100 Continue" before it sends the body */
};

/**
 * Where the head ends: the number of its bytes, the empty line included; 0: not yet. Lines that end
 * in LF alone end a head, too, which is then refused.
 */
size_t http_head_len(const char *data, size_t len);

/**
 * Split @head of @len bytes, as http_head_len() says; it is written into.
 *
 * @ret_why  what is wrong, for the peer
 * @return   0; else the status of the answer, after which the connection is of no more use
 */
int http_request_parse(char *head, size_t len, struct http_request *ret, const char **ret_why);

/** The value of a header, the first of that name in whatever case; NULL: there is none. */
const char *http_request_header(const struct http_request *request, const char *name);

#endif
