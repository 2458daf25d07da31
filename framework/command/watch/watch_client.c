/* watch_client.c - see watch_client.h. */
#include "command/watch/watch_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/input_file.h"

#define BODY_MAX  ((size_t)64 << 20)
#define TOKEN_MAX 4096

const struct cli_option watch_option_rows[] = {
    CLI_TEXT("token-file", 0, "A file whose first line is the worker's token", "FILE",
             struct watch_options, token_file),
    CLI_TEXT("ca", 0, "The certificates that vouch for the worker's, of https://", "FILE",
             struct watch_options, ca_file),
    CLI_TEXT("cert", 0, "A client certificate, where the worker asks for one", "FILE",
             struct watch_options, cert_file),
    CLI_TEXT("key", 0, "Its key", "FILE", struct watch_options, key_file), CLI_END};

/* Its first line. */
static enum warren_status read_token(const char *path, char **ret_token, struct warren_error *error)
{
    const char *why = NULL;
    FILE *file = input_file_stream(path, &why);
    char line[TOKEN_MAX];
    bool read;

    if (!file)
        return error_set(error, WARREN_EIO, "token file %s: %s", path, why);
    read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[read ? strcspn(line, "\r\n") : 0] = '\0';
    if (!*line)
        return error_set(error, WARREN_EIO, "token file %s: its first line is empty", path);
    *ret_token = strdup(line);
    return *ret_token ? WARREN_OK : error_set(error, WARREN_ENOMEM, "no memory for the token");
}

static bool has_scheme(const char *address)
{
    return strncmp(address, "http://", 7) == 0 || strncmp(address, "https://", 8) == 0;
}

/* Paths are ours to add. */
static enum warren_status make_url(const char *address, char **ret_url, struct warren_error *error)
{
    const char *host = has_scheme(address) ? strstr(address, "://") + 3 : address;
    size_t len = strlen(address);
    size_t size = len + sizeof "http://127.0.0.1";

    while (len > 0 && address[len - 1] == '/')
        len--;
    if (strlen(host) == 0 || memchr(host, '/', (size_t)(address + len - host)) ||
        !strchr(host, ':'))
        return error_set(error, WARREN_EINVAL,
                         "\"%.100s\" is no address of a worker: expected HOST:PORT, such as "
                         "127.0.0.1:9464",
                         address);
    *ret_url = malloc(size);
    if (!*ret_url)
        return error_set(error, WARREN_ENOMEM, "no memory for an address");
    snprintf(*ret_url, size, "%s%s%.*s", has_scheme(address) ? "" : "http://",
             *address == ':' ? "127.0.0.1" : "", (int)len, address);
    return WARREN_OK;
}

enum warren_status watch_client_init(struct watch_client *client, const char *address,
                                     const struct watch_options *options,
                                     struct warren_error *error)
{
    struct http_client_options http = {.ca_file = options->ca_file,
                                       .cert_file = options->cert_file,
                                       .key_file = options->key_file,
                                       .direct = true};
    enum warren_status status;

    *client = (struct watch_client){.shows_certificate = options->cert_file != NULL};
    status = make_url(address, &client->url, error);
    if (status == WARREN_OK && options->token_file)
        status = read_token(options->token_file, &client->token, error);
    if (status == WARREN_OK)
        status = http_client_new(&http, &client->http, error);
    if (status != WARREN_OK)
        watch_client_done(client);
    return status;
}

void watch_client_done(struct watch_client *client)
{
    http_client_free(client->http);
    free(client->url);
    if (client->token)
        explicit_bzero(client->token, strlen(client->token));
    free(client->token);
    *client = (struct watch_client){.http = NULL};
}

/* What the worker says is of one line, and short. */
static enum warren_status refused(const struct watch_client *client, const char *path,
                                  const struct http_client_response *response,
                                  struct warren_error *error)
{
    const char *hint = response->status == 401 ? ": it wants a token (--token-file)" : "";
    size_t len = strcspn(response->body, "\r\n");

    return error_set(error, WARREN_EBROKER, "%s%s answers %ld%s%s%.*s", client->url, path,
                     response->status, hint, len > 0 ? ": " : "", len < 300 ? (int)len : 300,
                     response->body);
}

/* A worker that takes only clients with a certificate ends the connection of others, in TLS 1.3
 * after the handshake has ended well for them: what they see of it is any error of the transport.
 */
static enum warren_status ask(struct watch_client *client,
                              const struct http_client_request *request,
                              struct http_client_response *ret_response, struct warren_error *error)
{
    enum warren_status status = http_client_send(client->http, request, ret_response, error);
    char said[WARREN_ERROR_TEXT_MAX];

    if (status != WARREN_EIO || client->shows_certificate ||
        strncmp(client->url, "https:", 6) != 0 || strstr(error->text, "onnect to"))
        return status;
    snprintf(said, sizeof said, "%s", error->text);
    return error_set(error, status, "%s (does the worker want a certificate? --cert, --key)", said);
}

enum warren_status watch_client_get(struct watch_client *client, const char *path,
                                    uint32_t timeout_ms, char **ret_body, size_t *ret_len,
                                    struct warren_error *error)
{
    char url[1024];
    struct http_client_request request = {
        .url = url, .token = client->token, .timeout_ms = timeout_ms, .response_max = BODY_MAX};
    struct http_client_response response = {0};
    enum warren_status status;

    snprintf(url, sizeof url, "%s%s", client->url, path);
    status = ask(client, &request, &response, error);
    if (status == WARREN_OK && response.status != 200)
        status = refused(client, path, &response, error);
    if (status == WARREN_OK) {
        *ret_body = response.body;
        *ret_len = response.body_len;
        return WARREN_OK;
    }
    http_client_response_done(&response);
    return status;
}

enum warren_status watch_client_post(struct watch_client *client, const char *path,
                                     uint32_t timeout_ms, struct http_client_response *ret_response,
                                     struct warren_error *error)
{
    char url[1024];
    struct http_client_request request = {.method = "POST",
                                          .url = url,
                                          .token = client->token,
                                          .body = "",
                                          .timeout_ms = timeout_ms,
                                          .response_max = BODY_MAX};
    enum warren_status status;

    snprintf(url, sizeof url, "%s%s", client->url, path);
    status = ask(client, &request, ret_response, error);
    if (status == WARREN_OK && (ret_response->status == 401 || ret_response->status == 403))
        status = refused(client, path, ret_response, error);
    return status;
}
