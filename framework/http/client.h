/* client.h - requests by HTTP and HTTPS, one after the other on one kept connection (libcurl).
 *
 * libcurl and what it needs take 4 MiB of a process, so it is loaded by the first client; a worker
 * that sends no requests does without.
 * Bounds: time and size of each request, set by the caller. Redirects are not followed.
 * Thread: one at a time, but http_client_cancel().
 * Elsewhere: what is asked (command/worker/command_health.c), who answers (server.h).
 */
#ifndef WARREN_HTTP_CLIENT_H
#define WARREN_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

struct http_client;

/** What all requests of a client have in common. Strings are copied; all may be NULL. */
struct http_client_options {
    const char *ca_file;   /* PEM; NULL: the system's certificates */
    const char *cert_file; /* the client's own, PEM, */
    const char *key_file;  /* and its key */
    bool any_name; /* the server's certificate may be for another name: good where ca_file is
                      that very certificate */
    bool direct;   /* no proxy, whatever http_proxy and its like say in the environment */
};

/** One request. Everything is borrowed during the call. */
struct http_client_request {
    const char *method;         /* NULL: GET, or POST where there is a body */
    const char *url;            /* http:// or https:// */
    const char *token;          /* sent as "Authorization: Bearer ..."; NULL: none */
    const char *const *headers; /* "Name: value"; control bytes are refused */
    size_t header_count;
    const void *body;    /* NULL: none */
    size_t body_len;     /* bytes */
    uint32_t timeout_ms; /* all of it, connecting included; 0: 10 seconds */
    size_t response_max; /* bytes of the answer's body; 0: 1 MiB */
};

struct http_client_response {
    long status;            /* such as 200 */
    char *body;             /* never NULL after WARREN_OK; a NUL stands behind it */
    size_t body_len;        /* bytes */
    uint32_t retry_after_s; /* what the header Retry-After says; 0: nothing, or a date */
};

/** WARREN_OK; WARREN_ENOMEM, or WARREN_EIO with @error: libcurl cannot be loaded. */
enum warren_status http_client_new(const struct http_client_options *options,
                                   struct http_client **ret_client, struct warren_error *error);

/**
 * Send a request and wait for the whole answer, whatever its status.
 *
 * @ret_response  http_client_response_done() frees what is in it, also after a failure
 * @return        WARREN_OK; WARREN_EINVAL: the request is malformed; WARREN_ETIMEOUT;
 *                WARREN_ECLOSED: cancelled; WARREN_EFULL: the answer is above response_max;
 *                WARREN_EPROTOCOL: no HTTP; WARREN_ENOMEM; WARREN_EIO: all else, such as refused or
 * a wrong certificate.
 *                @error says what, and with whom
 */
enum warren_status http_client_send(struct http_client *client,
                                    const struct http_client_request *request,
                                    struct http_client_response *ret_response,
                                    struct warren_error *error);
/** Zeroed is fine. */
void http_client_response_done(struct http_client_response *response);

/** The request under way ends within about a second, and each later one at once. Thread: any. */
void http_client_cancel(struct http_client *client);

/** NULL is fine. */
void http_client_free(struct http_client *client);

#endif
