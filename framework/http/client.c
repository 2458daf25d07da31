/* client.c - see client.h. */
#include "http/client.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Its macros of that kind name the functions, which are not linked. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo

#include <warren/version.h>

#include "base/ascii.h"
#include "base/buffer.h"
#include "base/error.h"

/* Of the interface 4, which libcurl has kept since 2006. */
#define LIBRARY         "libcurl.so.4"
#define TIMEOUT_MS      10000
#define RESPONSE_MAX    ((size_t)1 << 20)
#define RETRY_AFTER_MAX 86400
/* An answer has no more headers than this, in bytes. */
#define HEADERS_MAX (64 * 1024)

/* ---- the library ---- */

#define FUNCTIONS(X)                                                                               \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_perform)                                                                           \
    X(curl_easy_strerror)                                                                          \
    X(curl_easy_cleanup)                                                                           \
    X(curl_easy_reset)                                                                             \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)

static struct {
#define MEMBER(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses) */
    FUNCTIONS(MEMBER)
#undef MEMBER
    bool loaded;
    char why[256];
} lib; /* written once */

static bool find(void *library, const char *name, void *ret_function)
{
    void *function = dlsym(library, name);

    memcpy(ret_function, &function, sizeof function); /* ISO C has no cast for it */
    return function != NULL;
}

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool found = library != NULL;
    const char *why;

#define FIND(name) found = found && find(library, #name, &lib.name);
    FUNCTIONS(FIND)
#undef FIND
    if (found && lib.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        lib.loaded = true;
        return;
    }
    why = dlerror();
    why = why ? why : "it does not start";
    memcpy(lib.why, why, strnlen(why, sizeof lib.why - 1));
}

static enum warren_status load_once(struct warren_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (lib.loaded)
        return WARREN_OK;
    return error_set(error, WARREN_EIO, "HTTP needs " LIBRARY ", which cannot be loaded: %s",
                     lib.why);
}

/* ---- life ---- */

struct http_client {
    CURL *curl;
    struct http_client_options options; /* strings are its own */
    atomic_bool cancelled;
    /* Of the request under way. */
    struct buffer body;
    size_t headers_len;
    bool too_big;
    bool no_memory;
    uint32_t retry_after_s;
    char words[CURL_ERROR_SIZE];
};

static bool copy(const char *text, const char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

enum warren_status http_client_new(const struct http_client_options *options,
                                   struct http_client **ret_client, struct warren_error *error)
{
    enum warren_status status = load_once(error);
    struct http_client *client;

    if (status != WARREN_OK)
        return status;
    client = calloc(1, sizeof *client);
    if (!client)
        return error_set(error, WARREN_ENOMEM, "no memory for HTTP");
    client->options.any_name = options->any_name;
    client->options.direct = options->direct;
    client->curl = lib.curl_easy_init();
    if (!client->curl || !copy(options->ca_file, &client->options.ca_file) ||
        !copy(options->cert_file, &client->options.cert_file) ||
        !copy(options->key_file, &client->options.key_file)) {
        http_client_free(client);
        return error_set(error, WARREN_ENOMEM, "no memory for HTTP");
    }
    *ret_client = client;
    return WARREN_OK;
}

void http_client_cancel(struct http_client *client)
{
    atomic_store(&client->cancelled, true);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    if (client->curl)
        lib.curl_easy_cleanup(client->curl);
    buffer_done(&client->body);
    free((char *)client->options.ca_file);
    free((char *)client->options.cert_file);
    free((char *)client->options.key_file);
    free(client);
}

void http_client_response_done(struct http_client_response *response)
{
    free(response->body);
    *response = (struct http_client_response){0};
}

/* ---- what comes ---- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct http_client *client = user;
    enum warren_status status = buffer_append(&client->body, data, size * count);

    client->too_big = status == WARREN_EFULL;
    client->no_memory = status == WARREN_ENOMEM;
    return status == WARREN_OK ? size * count : 0;
}

/* "Retry-After: 30", not terminated. */
static void read_retry_after(struct http_client *client, const char *line, size_t len)
{
    static const char name[] = "retry-after:";
    uint32_t seconds = 0;
    size_t i = sizeof name - 1;

    if (len <= i || !ascii_same_n(line, name, i))
        return;
    while (i < len && line[i] == ' ')
        i++;
    for (; i < len && ascii_is_digit(line[i]) && seconds < RETRY_AFTER_MAX; i++)
        seconds = seconds * 10 + (uint32_t)(line[i] - '0');
    client->retry_after_s = seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct http_client *client = user;

    read_retry_after(client, line, size * count);
    client->headers_len += size * count;
    client->too_big = client->headers_len > HEADERS_MAX;
    return client->too_big ? 0 : size * count;
}

/* Called about once a second, too, while nothing comes. */
static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct http_client *client = user;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return atomic_load(&client->cancelled) ? 1 : 0;
}

/* ---- the request ---- */

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if (ascii_is_cntrl(*text))
            return false;
    return true;
}

static enum warren_status check(const struct http_client_request *request,
                                struct warren_error *error)
{
    if (!ascii_same_n(request->url, "http://", 7) && !ascii_same_n(request->url, "https://", 8))
        return error_set(error, WARREN_EINVAL,
                         "\"%s\" is no address of HTTP: http://HOST:PORT/PATH is expected",
                         is_clean(request->url) ? request->url : "it has control bytes, and");
    if (!is_clean(request->url))
        return error_set(error, WARREN_EINVAL, "the address has control bytes in it");
    if (request->token && (!*request->token || !is_clean(request->token)))
        return error_set(error, WARREN_EINVAL, "the token is empty, or has control bytes in it");
    for (size_t i = 0; i < request->header_count; i++)
        if (!strchr(request->headers[i], ':') || !is_clean(request->headers[i]))
            return error_set(error, WARREN_EINVAL, "header %zu is not of the form \"Name: value\"",
                             i + 1);
    return WARREN_OK;
}

/* @return false: no memory; what @list has is kept */
static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = lib.curl_slist_append(*list, text);

    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_token(struct curl_slist **list, const char *token)
{
    static const char name[] = "Authorization: Bearer ";
    size_t size = sizeof name + strlen(token);
    char *text = malloc(size);
    bool added;

    if (!text)
        return false;
    memcpy(text, name, sizeof name - 1);
    memcpy(text + sizeof name - 1, token, size - sizeof name + 1);
    added = add_header(list, text);
    explicit_bzero(text, size);
    free(text);
    return added;
}

static bool make_headers(const struct http_client_request *request, struct curl_slist **ret_list)
{
    bool added = true;

    *ret_list = NULL;
    for (size_t i = 0; i < request->header_count && added; i++)
        added = add_header(ret_list, request->headers[i]);
    if (request->token && added)
        added = add_token(ret_list, request->token);
    /* It would wait a second for a server that does not know that. */
    return added && add_header(ret_list, "Expect:");
}

#define SET(option, value) (lib.curl_easy_setopt(client->curl, (option), (value)) == CURLE_OK)

static bool set_up_tls(struct http_client *client)
{
    const struct http_client_options *options = &client->options;

    return (!options->ca_file || SET(CURLOPT_CAINFO, options->ca_file)) &&
           (!options->cert_file || SET(CURLOPT_SSLCERT, options->cert_file)) &&
           (!options->key_file || SET(CURLOPT_SSLKEY, options->key_file)) &&
           SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
           (!options->any_name || SET(CURLOPT_SSL_VERIFYHOST, 0L)) &&
           (!options->direct || SET(CURLOPT_PROXY, ""));
}

static bool set_up_request(struct http_client *client, const struct http_client_request *request)
{
    bool done = SET(CURLOPT_URL, request->url);

    if (request->body)
        done = done && SET(CURLOPT_POST, 1L) &&
               SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len) &&
               SET(CURLOPT_POSTFIELDS, request->body);
    if (request->method && strcmp(request->method, "HEAD") == 0)
        done = done && SET(CURLOPT_NOBODY, 1L);
    else if (request->method)
        done = done && SET(CURLOPT_CUSTOMREQUEST, request->method);
    return done &&
           SET(CURLOPT_TIMEOUT_MS, (long)(request->timeout_ms ? request->timeout_ms : TIMEOUT_MS));
}

static bool set_up(struct http_client *client, const struct http_client_request *request,
                   struct curl_slist *headers)
{
    lib.curl_easy_reset(client->curl); /* keeps the connection */
    return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_ERRORBUFFER, client->words) &&
           SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
           SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(CURLOPT_USERAGENT, "warren/" WARREN_VERSION) && SET(CURLOPT_HTTPHEADER, headers) &&
           SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, client) &&
           SET(CURLOPT_HEADERFUNCTION, on_header) && SET(CURLOPT_HEADERDATA, client) &&
           SET(CURLOPT_XFERINFOFUNCTION, on_progress) && SET(CURLOPT_XFERINFODATA, client) &&
           SET(CURLOPT_NOPROGRESS, 0L) && set_up_tls(client) && set_up_request(client, request);
}

/* It has two codes for it, of which one is also that of an address that it cannot ask at all. */
static bool is_no_http(CURLcode code, const char *words)
{
    return code == CURLE_WEIRD_SERVER_REPLY ||
           (code == CURLE_UNSUPPORTED_PROTOCOL && strstr(words, "HTTP/0.9"));
}

static enum warren_status failed(const struct http_client *client,
                                 const struct http_client_request *request, CURLcode code,
                                 struct warren_error *error)
{
    const char *words = *client->words ? client->words : lib.curl_easy_strerror(code);

    if (atomic_load(&client->cancelled))
        return error_set(error, WARREN_ECLOSED, "%s: called off", request->url);
    if (client->too_big)
        return error_set(error, WARREN_EFULL, "%s: the answer is above %zu bytes", request->url,
                         client->body.max);
    if (client->no_memory || code == CURLE_OUT_OF_MEMORY)
        return error_set(error, WARREN_ENOMEM, "%s: no memory", request->url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return error_set(error, WARREN_ETIMEOUT, "%s: %s", request->url, words);
    if (code == CURLE_URL_MALFORMAT)
        return error_set(error, WARREN_EINVAL, "%s: %s", request->url, words);
    if (is_no_http(code, words))
        return error_set(error, WARREN_EPROTOCOL, "%s: what answers there is no HTTP",
                         request->url);
    return error_set(error, WARREN_EIO, "%s: %s", request->url, words);
}

/* The body's bytes, with a NUL behind them, become the caller's. */
static enum warren_status take_response(struct http_client *client,
                                        const struct http_client_request *request,
                                        struct http_client_response *response,
                                        struct warren_error *error)
{
    size_t len = buffer_len(&client->body);

    lib.curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &response->status);
    response->retry_after_s = client->retry_after_s;
    response->body = malloc(len + 1);
    if (!response->body)
        return error_set(error, WARREN_ENOMEM, "%s: no memory", request->url);
    if (len > 0)
        memcpy(response->body, buffer_front(&client->body), len);
    response->body[len] = '\0';
    response->body_len = len;
    return WARREN_OK;
}

enum warren_status http_client_send(struct http_client *client,
                                    const struct http_client_request *request,
                                    struct http_client_response *ret_response,
                                    struct warren_error *error)
{
    enum warren_status status = check(request, error);
    struct curl_slist *headers;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    *ret_response = (struct http_client_response){0};
    if (status != WARREN_OK)
        return status;
    buffer_init(&client->body, request->response_max ? request->response_max : RESPONSE_MAX);
    client->too_big = client->no_memory = false;
    client->headers_len = 0;
    client->retry_after_s = 0;
    client->words[0] = '\0';
    if (make_headers(request, &headers) && set_up(client, request, headers))
        code = lib.curl_easy_perform(client->curl);
    status = code == CURLE_OK ? take_response(client, request, ret_response, error)
                              : failed(client, request, code, error);
    lib.curl_slist_free_all(headers);
    buffer_done(&client->body);
    return status;
}
