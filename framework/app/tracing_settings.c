/* tracing_settings.c - see tracing_settings.h. */
#include "app/tracing_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/net/uri.h"
#include "base/ascii.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "base/input_file.h"

#define PLACE_SIZE     320
#define URL_MAX        2048
#define HEADERS_MAX    32
#define HEADER_MAX     4096
#define ATTRIBUTES_MAX 64
#define TRACES_PATH    "/v1/traces"

/* What one reading needs. */
struct reading {
    const struct config *config;
    char *const *env;
    struct tracing_settings *settings;
    struct warren_error *error;
};

static enum warren_status no_memory(const struct reading *r)
{
    return error_set(r->error, WARREN_ENOMEM, "no memory for the options of tracing");
}

/* Of the environment; NULL: not set, or empty, which is the same there. */
static const char *variable(const struct reading *r, const char *name)
{
    size_t len = strlen(name);

    for (char *const *env = r->env; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=' && (*env)[len + 1])
            return *env + len + 1;
    return NULL;
}

/* ---- lists of the environment: NAME=VALUE,NAME=VALUE, with %XX ---- */

static int hex(char c)
{
    return ascii_is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10;
}

/* In place. @return false: no such text */
static bool decode(char *text)
{
    char *to = text;

    for (; *text; text++) {
        char c = *text;

        if (c == '%') {
            if (!ascii_is_xdigit(text[1]) || !ascii_is_xdigit(text[2]))
                return false;
            c = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        }
        if (c == '\0')
            return false;
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    return text;
}

/* Call @take for each pair of the variable @name. The values may be secret: no error shows them. */
static enum warren_status read_pairs(const struct reading *r, const char *name,
                                     enum warren_status (*take)(const struct reading *r, char *key,
                                                                char *value))
{
    const char *given = variable(r, name);
    char *text = given ? arena_text(&r->settings->arena, given, strlen(given)) : NULL;
    enum warren_status status = WARREN_OK;
    char *pair;

    if (given && !text)
        return no_memory(r);
    while (text && status == WARREN_OK && (pair = strsep(&text, ","))) {
        char *value = strchr(pair, '=');

        if (!*trim(pair))
            continue;
        if (value)
            *value++ = '\0';
        if (!value || !*trim(pair) || !decode(value))
            return error_set(r->error, WARREN_ECONFIG,
                             "environment variable %s: expected NAME=VALUE, separated by commas, "
                             "where a %% is written %%25",
                             name);
        status = take(r, trim(pair), trim(value));
    }
    return status;
}

/* ---- headers ---- */

/* Source: RFC 9110, section 5.1: a field name is a token. */
static bool is_token(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!ascii_is_alnum(*c) && !strchr("!#$%&'*+-.^_`|~", *c))
            return false;
    return *name != '\0';
}

static bool is_value(const char *value)
{
    for (const char *c = value; *c; c++)
        if (ascii_is_cntrl(*c) && *c != '\t')
            return false;
    return true;
}

/* @return WARREN_EINVAL: it is none */
static enum warren_status add_header(const struct reading *r, const char *name, const char *value)
{
    struct otlp_options *options = &r->settings->options;
    const char **headers = (const char **)(uintptr_t)options->headers;
    size_t size = strlen(name) + strlen(value) + sizeof ": ";
    char *header;

    if (!is_token(name) || !is_value(value) || options->header_count == HEADERS_MAX)
        return WARREN_EINVAL;
    header = arena_alloc(&r->settings->arena, size);
    if (!header)
        return no_memory(r);
    snprintf(header, size, "%s: %s", name, value);
    headers[options->header_count++] = header;
    return WARREN_OK;
}

static enum warren_status take_header(const struct reading *r, char *name, char *value)
{
    enum warren_status status = add_header(r, name, value);

    if (status == WARREN_EINVAL)
        return error_set(r->error, WARREN_ECONFIG,
                         "environment variable OTEL_EXPORTER_OTLP_HEADERS: expected at most %d "
                         "headers, NAME=VALUE",
                         HEADERS_MAX);
    return status;
}

static enum warren_status fail_at(const struct reading *r, const char *option, const char *what)
{
    char where[PLACE_SIZE];

    config_where(r->config, option, 0, where, sizeof where);
    return error_set(r->error, WARREN_ECONFIG, "%s: %s", where, what);
}

static enum warren_status read_header_line(const struct reading *r, char *line, int number)
{
    char *value = strchr(line, ':');
    char what[PLACE_SIZE];
    enum warren_status status = WARREN_EINVAL;

    if (!*trim(line) || *trim(line) == '#')
        return WARREN_OK;
    if (value) {
        *value = '\0';
        status = add_header(r, trim(line), trim(value + 1));
    }
    if (status != WARREN_EINVAL)
        return status;
    snprintf(what, sizeof what,
             "line %d of tracing.headers_file: expected \"Name: value\", %d lines at most", number,
             HEADERS_MAX);
    return fail_at(r, "tracing.headers_file", what);
}

static enum warren_status read_headers_file(const struct reading *r, const char *path)
{
    char line[HEADER_MAX];
    char what[PLACE_SIZE];
    const char *why = "";
    FILE *file = input_file_stream(path, &why);
    enum warren_status status = WARREN_OK;

    if (file) {
        for (int number = 1; status == WARREN_OK && fgets(line, sizeof line, file); number++) {
            size_t len = strcspn(line, "\r\n");

            if (line[len] == '\0' && len == sizeof line - 1)
                status = fail_at(r, "tracing.headers_file", "a line is longer than 4095 bytes");
            line[len] = '\0';
            if (status == WARREN_OK)
                status = read_header_line(r, line, number);
        }
        why = ferror(file) ? strerror(errno) : NULL;
        fclose(file);
        explicit_bzero(line, sizeof line);
    }
    if (status != WARREN_OK || !why)
        return status;
    snprintf(what, sizeof what, "cannot read tracing.headers_file: %s", why);
    return fail_at(r, "tracing.headers_file", what);
}

static enum warren_status read_headers(const struct reading *r)
{
    r->settings->options.headers =
        arena_alloc(&r->settings->arena, HEADERS_MAX * sizeof *r->settings->options.headers);
    if (!r->settings->options.headers)
        return no_memory(r);
    if (r->config->tracing.headers_file)
        return read_headers_file(r, r->config->tracing.headers_file);
    return read_pairs(r, "OTEL_EXPORTER_OTLP_HEADERS", take_header);
}

/* ---- whose spans they are ---- */

static enum warren_status add_attribute(const struct reading *r, const char *name,
                                        const char *value)
{
    struct otlp_options *options = &r->settings->options;
    struct otlp_attribute *list = (struct otlp_attribute *)(uintptr_t)options->resource;

    for (size_t i = 0; i < options->resource_count; i++)
        if (strcmp(list[i].name, name) == 0)
            return WARREN_OK; /* what is said first goes first */
    if (options->resource_count == ATTRIBUTES_MAX)
        return error_set(r->error, WARREN_ECONFIG,
                         "environment variable OTEL_RESOURCE_ATTRIBUTES: more than %d attributes",
                         ATTRIBUTES_MAX);
    name = arena_text(&r->settings->arena, name, strlen(name));
    value = arena_text(&r->settings->arena, value, strlen(value));
    if (!name || !value)
        return no_memory(r);
    list[options->resource_count++] = (struct otlp_attribute){name, value};
    return WARREN_OK;
}

static enum warren_status take_attribute(const struct reading *r, char *name, char *value)
{
    return add_attribute(r, name, value);
}

static enum warren_status read_resource(const struct reading *r)
{
    const char *name = r->config->tracing.service_name;
    enum warren_status status = WARREN_OK;
    char host[65] = "";
    char pid[24];

    r->settings->options.resource =
        arena_alloc(&r->settings->arena, ATTRIBUTES_MAX * sizeof(struct otlp_attribute));
    if (!r->settings->options.resource)
        return no_memory(r);
    if (!*name)
        name = variable(r, "OTEL_SERVICE_NAME");
    if (name)
        status = add_attribute(r, "service.name", name);
    if (status == WARREN_OK)
        status = read_pairs(r, "OTEL_RESOURCE_ATTRIBUTES", take_attribute);
    if (status == WARREN_OK)
        status = add_attribute(r, "service.name", "warren");
    if (status == WARREN_OK && gethostname(host, sizeof host - 1) == 0)
        status = add_attribute(r, "host.name", host);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    return status == WARREN_OK ? add_attribute(r, "process.pid", pid) : status;
}

/* ---- where to ---- */

/* NULL: it is one. */
static const char *what_is_wrong(const char *url)
{
    const char *host = strstr(url, "://");
    size_t len;

    if (!ascii_same_n(url, "http://", 7) && !ascii_same_n(url, "https://", 8))
        return "expected the address of a collector, such as http://127.0.0.1:4318";
    host += 3;
    len = strcspn(host, "/?#");
    if (len == 0 || *host == ':')
        return "the address of the collector has no host";
    if (memchr(host, '@', len))
        return "the address of the collector has a user: give what it asks for as a header, in "
               "tracing.headers_file";
    if (strpbrk(url, "?#"))
        return "the address of the collector has a query or a fragment";
    if (strlen(url) > URL_MAX)
        return "the address of the collector is longer than 2048 bytes";
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~')
            return "the address of the collector has a space or another byte that it cannot have";
    return NULL;
}

/* @where: names the place. @whole: it has its path already */
static enum warren_status use_url(const struct reading *r, const char *url, const char *where,
                                  bool whole)
{
    const char *wrong = what_is_wrong(url);
    size_t len = strlen(url);
    char *text;

    if (wrong)
        return error_set(r->error, WARREN_ECONFIG, "%s: %s", where, wrong);
    while (!whole && url[len - 1] == '/')
        len--;
    text = arena_alloc(&r->settings->arena, len + sizeof TRACES_PATH);
    if (!text)
        return no_memory(r);
    snprintf(text, len + sizeof TRACES_PATH, "%.*s%s", (int)len, url, whole ? "" : TRACES_PATH);
    r->settings->options.url = text;
    r->settings->enabled = true;
    return WARREN_OK;
}

static bool says(const struct reading *r, const char *name, const char *word)
{
    const char *value = variable(r, name);

    return value && ascii_same(value, word);
}

/* What the environment says to all programs, some of which speak gRPC. */
static enum warren_status use_environment(const struct reading *r)
{
    static const char traces[] = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    static const char all[] = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const char *whole = variable(r, traces);
    const char *base = variable(r, all);

    if ((!whole && !base) || says(r, "OTEL_SDK_DISABLED", "true") ||
        says(r, "OTEL_TRACES_EXPORTER", "none"))
        return WARREN_OK;
    if (says(r, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") ||
        says(r, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")) {
        r->settings->is_grpc = true;
        return WARREN_OK;
    }
    if (whole)
        return use_url(r, whole, "environment variable OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", true);
    return use_url(r, base, "environment variable OTEL_EXPORTER_OTLP_ENDPOINT", false);
}

static enum warren_status read_url(const struct reading *r)
{
    char where[PLACE_SIZE];

    if (!*r->config->tracing.endpoint)
        return use_environment(r);
    config_where(r->config, "tracing.endpoint", 0, where, sizeof where);
    return use_url(r, r->config->tracing.endpoint, where, false);
}

static enum warren_status read_ratio(const struct reading *r)
{
    const char *text = r->config->tracing.ratio;
    char *end;

    r->settings->options.ratio = c_strtod(text, &end);
    if (!*text || *end || !ascii_is_digit(*text) || !(r->settings->options.ratio >= 0) ||
        r->settings->options.ratio > 1)
        return fail_at(r, "tracing.ratio", "tracing.ratio: expected a number from 0 to 1");
    return WARREN_OK;
}

/* With several addresses nobody knows to which of them a span belongs. */
static enum warren_status read_server(const struct reading *r)
{
    struct otlp_options *options = &r->settings->options;
    struct uri uri;

    if (r->config->broker.uri_count != 1 ||
        uri_parse(r->config->broker.uri[0], &uri, NULL) != WARREN_OK)
        return WARREN_OK; /* checked by those who connect */
    options->server = arena_text(&r->settings->arena, uri.host, strlen(uri.host));
    options->port = uri.port;
    explicit_bzero(&uri, sizeof uri);
    return options->server ? WARREN_OK : no_memory(r);
}

enum warren_status tracing_settings_init(const struct config *config, char *const *env,
                                         struct tracing_settings *settings,
                                         struct warren_error *error)
{
    const struct reading r = {config, env, settings, error};
    enum warren_status status;

    *settings = (struct tracing_settings){.enabled = false};
    arena_init(&settings->arena);
    status = read_url(&r);
    if (status == WARREN_OK)
        status = read_ratio(&r);
    if (status != WARREN_OK || !settings->enabled)
        return status;
    settings->options.ca_file = config->tracing.tls_ca_file
                                    ? config->tracing.tls_ca_file
                                    : variable(&r, "OTEL_EXPORTER_OTLP_CERTIFICATE");
    status = read_headers(&r);
    if (status == WARREN_OK)
        status = read_resource(&r);
    return status == WARREN_OK ? read_server(&r) : status;
}

void tracing_settings_done(struct tracing_settings *settings)
{
    arena_done(&settings->arena);
}
