#include "environment.h"

#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define OWN_PREFIX "WARREN_"

/* Ours: queue, exchange, routing key, redelivered, attempt, size, and 13 properties. */
#define FIXED_MAX 19

struct environment {
    struct warren_job *job;
    char **variables;
    size_t count;
    bool failed;
};

static void add(struct environment *environment, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct environment *environment, const char *format, ...)
{
    va_list arguments;
    char *text;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = len < 0 ? NULL : warren_job_alloc(environment->job, (size_t)len + 1);
    if (!text) {
        environment->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    environment->variables[environment->count++] = text;
}

/* A variable cannot hold a NUL: there is none rather than half of one. */
static void add_text(struct environment *environment, const char *name, const char *value)
{
    if (value && warren_job_text(environment->job, value).len == strlen(value))
        add(environment, OWN_PREFIX "%s=%s", name, value);
}

static void add_inherited(struct environment *environment)
{
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, OWN_PREFIX, strlen(OWN_PREFIX)) != 0)
            environment->variables[environment->count++] = *variable;
}

static void add_properties(struct environment *environment)
{
    const struct warren_properties *p = warren_job_properties(environment->job);

    add_text(environment, "CONTENT_TYPE", p->content_type);
    add_text(environment, "CONTENT_ENCODING", p->content_encoding);
    if (p->delivery_mode)
        add(environment, OWN_PREFIX "DELIVERY_MODE=%u", p->delivery_mode);
    if (p->has_priority)
        add(environment, OWN_PREFIX "PRIORITY=%u", p->priority);
    add_text(environment, "CORRELATION_ID", p->correlation_id);
    add_text(environment, "REPLY_TO", p->reply_to);
    add_text(environment, "EXPIRATION", p->expiration);
    add_text(environment, "MESSAGE_ID", p->message_id);
    if (p->has_timestamp)
        add(environment, OWN_PREFIX "TIMESTAMP=%" PRIu64, p->timestamp);
    add_text(environment, "TYPE", p->type);
    add_text(environment, "USER_ID", p->user_id);
    add_text(environment, "APP_ID", p->app_id);
    add_text(environment, "CLUSTER_ID", p->cluster_id);
}

/* "WARREN_HEADER_" and the name as a shell can say it; a header's name has at most 255 bytes. */
static void header_variable(struct warren_bytes name, char variable[288])
{
    size_t len = (size_t)snprintf(variable, 288, OWN_PREFIX "HEADER_");

    for (size_t i = 0; i < name.len && len < 287; i++) {
        char c = ((const char *)name.data)[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            c = '_';
        variable[len++] = c;
    }
    variable[len] = '\0';
}

/* The first header of a name counts, also after the names were made plain. */
static bool is_taken(const struct environment *environment, size_t first, const char *variable)
{
    size_t len = strlen(variable);

    for (size_t i = first; i < environment->count; i++)
        if (strncmp(environment->variables[i], variable, len) == 0 &&
            environment->variables[i][len] == '=')
            return true;
    return false;
}

/* A plugin may have called setlocale(3): numbers have a point all the same. */
static void add_real(struct environment *environment, const char *variable, double real)
{
    locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));

    add(environment, "%s=%.17g", variable, real);
    uselocale(before);
}

static void add_header(struct environment *environment, const char *variable,
                       const struct warren_value *value)
{
    switch (value->type) {
    case WARREN_BOOL:
        add(environment, "%s=%s", variable, value->as.boolean ? "true" : "false");
        break;
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        add(environment, "%s=%" PRId64, variable, value->as.integer);
        break;
    case WARREN_F32:
    case WARREN_F64:
        add_real(environment, variable, value->as.real);
        break;
    case WARREN_TIMESTAMP:
        add(environment, "%s=%" PRIu64, variable, value->as.timestamp);
        break;
    case WARREN_STRING:
        if (value->as.bytes.len <= ENVIRONMENT_HEADER_MAX &&
            (value->as.bytes.len == 0 || !memchr(value->as.bytes.data, '\0', value->as.bytes.len)))
            add(environment, "%s=%.*s", variable, (int)value->as.bytes.len,
                value->as.bytes.len > 0 ? (const char *)value->as.bytes.data : "");
        break;
    case WARREN_VOID:
    case WARREN_DECIMAL:
    case WARREN_BYTES:
    case WARREN_ARRAY:
    case WARREN_TABLE:
        break;
    }
}

static void add_headers(struct environment *environment, const struct warren_table *headers)
{
    size_t first = environment->count;
    char variable[288];

    for (size_t i = 0; i < headers->count && i < ENVIRONMENT_HEADERS_MAX; i++) {
        header_variable(warren_job_text(environment->job, headers->fields[i].name), variable);
        if (!is_taken(environment, first, variable))
            add_header(environment, variable, &headers->fields[i].value);
    }
}

static size_t count_inherited(void)
{
    size_t count = 0;

    while (environ[count])
        count++;
    return count;
}

char **environment_for(struct warren_job *job)
{
    const struct warren_table *headers = &warren_job_properties(job)->headers;
    size_t max = count_inherited() + FIXED_MAX + ENVIRONMENT_HEADERS_MAX + 1;
    struct environment environment = {.job = job};

    environment.variables = warren_job_alloc(job, max * sizeof *environment.variables);
    if (!environment.variables)
        return NULL;
    add_inherited(&environment);
    add_text(&environment, "QUEUE", warren_job_queue(job));
    add_text(&environment, "EXCHANGE", warren_job_exchange(job));
    add_text(&environment, "ROUTING_KEY", warren_job_routing_key(job));
    add_text(&environment, "REDELIVERED", warren_job_redelivered(job) ? "true" : "false");
    add(&environment, OWN_PREFIX "ATTEMPT=%" PRIu32, warren_job_attempt(job));
    add(&environment, OWN_PREFIX "BODY_SIZE=%zu", warren_job_body(job).len);
    add_properties(&environment);
    add_headers(&environment, headers);
    environment.variables[environment.count] = NULL;
    return environment.failed ? NULL : environment.variables;
}
