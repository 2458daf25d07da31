/* management.c - see management.h.
 * Source: https://www.rabbitmq.com/docs/http-api-reference
 */
#include "command/topology/management.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/ascii.h"
#include "base/error.h"
#include "http/client.h"

/* Of the API's reason for a refusal, in an error. */
#define REASON_MAX 200

#define OK         200
#define NO_CONTENT 204
#define NOT_FOUND  404

struct management {
    struct settings_management settings;
    struct http_client *http;
    char header[HTTP_LOGIN_HEADER_SIZE];
};

enum warren_status management_new(const struct settings_management *settings,
                                  struct management **ret, struct warren_error *error)
{
    const struct http_client_options http = {.ca_file = settings->tls.ca_file,
                                             .cert_file = settings->tls.cert_file,
                                             .key_file = settings->tls.key_file,
                                             .direct = true};
    struct management *management = calloc(1, sizeof *management);
    enum warren_status status;

    if (!management)
        return error_set(error, WARREN_ENOMEM, "no memory for the management API");
    management->settings = *settings;
    http_login_header(settings->login.user, settings->login.password, management->header);
    status = http_client_new(&http, &management->http, error);
    if (status != WARREN_OK)
        management_free(management);
    else
        *ret = management;
    return status;
}

void management_free(struct management *management)
{
    if (!management)
        return;
    http_client_free(management->http);
    explicit_bzero(management, sizeof *management);
    free(management);
}

const char *management_where(const struct management *management)
{
    return management->settings.login.base;
}

/* ---- addresses ---- */

/* Three times as long at most. A point too, for libcurl takes ".." out of a path. */
static char *add_encoded(char *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (ascii_is_alnum(*text) || strchr("-_~", *text)) {
            *out++ = *text;
            continue;
        }
        *out++ = '%';
        *out++ = digits[c >> 4];
        *out++ = digits[c & 15];
    }
    *out = '\0';
    return out;
}

/* The address of base, "/api/KIND/" and the virtual host, each of @names behind a slash, and
 * @query. NULL: no memory. The caller frees. */
static char *make_url(const struct management *management, const char *kind,
                      const char *const *names, const char *query)
{
    const struct settings_management *settings = &management->settings;
    size_t size = strlen(settings->login.base) + strlen(kind) + strlen(query) +
                  3 * strlen(settings->vhost) + sizeof "/api//";
    char *url;
    char *at;

    for (size_t i = 0; names[i]; i++)
        size += 3 * strlen(names[i]) + 1;
    url = malloc(size);
    if (!url)
        return NULL;
    at = stpcpy(stpcpy(stpcpy(stpcpy(url, settings->login.base), "/api/"), kind), "/");
    at = add_encoded(at, settings->vhost);
    for (size_t i = 0; names[i]; i++)
        at = add_encoded(stpcpy(at, "/"), names[i]);
    stpcpy(at, query);
    return url;
}

/* ---- requests ---- */

/* {"error": "not_authorized", "reason": "Not management user"}, or whatever stands in front. */
static enum warren_status refused(const struct management *management,
                                  const struct http_client_response *response,
                                  struct warren_error *error)
{
    json_t *answer = json_loadb(response->body, response->body_len, 0, NULL);
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    bool login = response->status == 401;

    error_set(error, WARREN_EBROKER, "%s answers %ld%s%.*s%s", management_where(management),
              response->status, reason ? ": " : "", REASON_MAX, reason ? reason : "",
              login ? " (user and password must be right, and the user needs the tag management)"
                    : "");
    json_decref(answer);
    return WARREN_EBROKER;
}

static enum warren_status ask(struct management *management, const char *method, const char *url,
                              struct http_client_response *response, struct warren_error *error)
{
    const char *headers[] = {management->header, "Accept: application/json"};
    struct http_client_request request = {.method = method,
                                          .url = url,
                                          .headers = headers,
                                          .header_count = 2,
                                          .timeout_ms = management->settings.timeout_ms,
                                          .response_max = MANAGEMENT_ANSWER_MAX};
    enum warren_status status = http_client_send(management->http, &request, response, error);

    /* It is never the API, however often it is asked. */
    if (status == WARREN_EPROTOCOL)
        return error_set(error, WARREN_ECONFIG,
                         "%s answers, but not by HTTP: expected RabbitMQ's management API, which "
                         "has a port of its own, such as 15672, or 15671 with TLS",
                         management_where(management));
    return status;
}

typedef enum warren_status read_fn(const char *body, size_t len, struct arena *arena,
                                   struct management_topology *ret, struct warren_error *error);

static enum warren_status get(struct management *management, const char *kind, const char *query,
                              read_fn *read, struct arena *arena, struct management_topology *ret,
                              struct warren_error *error)
{
    static const char *const no_names[] = {NULL};
    struct http_client_response response = {0};
    struct warren_error why = {WARREN_OK, ""};
    char *url = make_url(management, kind, no_names, query);
    enum warren_status status;

    if (!url)
        return error_set(error, WARREN_ENOMEM, "no memory for an address");
    status = ask(management, NULL, url, &response, error);
    if (status == WARREN_OK && response.status != OK)
        status = refused(management, &response, error);
    else if (status == WARREN_OK) {
        status = read(response.body, response.body_len, arena, ret, &why);
        if (status != WARREN_OK)
            error_set(error, status, "%s: %s", url, why.text);
    }
    http_client_response_done(&response);
    free(url);
    return status;
}

enum warren_status management_read(struct management *management, struct arena *arena,
                                   struct management_topology *ret, struct warren_error *error)
{
    enum warren_status status;

    *ret = (struct management_topology){.skipped = 0};
    status =
        get(management, "exchanges", "?columns=name,type,durable,auto_delete,internal,arguments",
            management_read_exchanges, arena, ret, error);
    if (status == WARREN_OK)
        status = get(management, "queues",
                     "?disable_stats=true"
                     "&columns=name,type,durable,auto_delete,exclusive,arguments",
                     management_read_queues, arena, ret, error);
    if (status == WARREN_OK)
        status = get(management, "bindings",
                     "?columns=source,destination,destination_type,routing_key,arguments,"
                     "properties_key",
                     management_read_bindings, arena, ret, error);
    return status;
}

enum warren_status management_unbind(struct management *management,
                                     const struct config_binding *binding, const char *key,
                                     struct warren_error *error)
{
    const char *const names[] = {
        "e", binding->source, binding->to_exchange ? "e" : "q", binding->destination, key, NULL};
    struct http_client_response response = {0};
    char *url = make_url(management, "bindings", names, "");
    enum warren_status status;

    if (!url)
        return error_set(error, WARREN_ENOMEM, "no memory for an address");
    status = ask(management, "DELETE", url, &response, error);
    if (status == WARREN_OK && response.status != NO_CONTENT && response.status != NOT_FOUND)
        status = refused(management, &response, error);
    http_client_response_done(&response);
    free(url);
    return status;
}
