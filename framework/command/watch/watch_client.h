/* watch_client.h - what the commands that look at running workers share: addresses, a token, and
 * asking.
 * Thread: any, one at a time for each client.
 */
#ifndef WARREN_COMMAND_WATCH_CLIENT_H
#define WARREN_COMMAND_WATCH_CLIENT_H

#include "command/cli/cli.h"
#include "http/client.h"

/** Where a worker listens if nobody says otherwise. */
#define WATCH_ADDRESS "127.0.0.1:9464"

/** The options of all of them. */
struct watch_options {
    const char *token_file;
    const char *ca_file;
    const char *cert_file; /* the client's own, */
    const char *key_file;  /* and its key */
};
extern const struct cli_option watch_option_rows[];

struct watch_client {
    struct http_client *http;
    char *url;   /* "http://HOST:PORT", without a path */
    char *token; /* NULL: none */
    bool shows_certificate;
};

/**
 * A client of the worker at @address: HOST:PORT, :PORT (of this host), or a URL that begins so.
 *
 * @return WARREN_OK; WARREN_EINVAL: @address; WARREN_EIO: the token's file; as http_client_new();
 *         with @error
 */
enum warren_status watch_client_init(struct watch_client *client, const char *address,
                                     const struct watch_options *options,
                                     struct warren_error *error);
/** A zeroed one is fine. */
void watch_client_done(struct watch_client *client);

/**
 * GET @path.
 *
 * @ret_body  to be freed; a NUL stands behind it
 * @return    WARREN_OK: the status is 200; WARREN_EBROKER: another one, which @error tells with
 * what the worker says; as http_client_send()
 */
enum warren_status watch_client_get(struct watch_client *client, const char *path,
                                    uint32_t timeout_ms, char **ret_body, size_t *ret_len,
                                    struct warren_error *error);

/**
 * POST @path, without a body.
 *
 * @ret_response  whatever its status, but for 401 and 403; http_client_response_done()
 * @return        WARREN_OK; as watch_client_get()
 */
enum warren_status watch_client_post(struct watch_client *client, const char *path,
                                     uint32_t timeout_ms, struct http_client_response *ret_response,
                                     struct warren_error *error);

#endif
