/* options.c - defaults, ranges, URIs and the password file. */
#include "publish/message/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/input_file.h"
#include "publish/delay/delay.h"
#include "publish/message/pace.h"
#include "publish/message/record.h"

#define WINDOW_MESSAGES_MAX 1000000
#define HEARTBEAT_MAX_S     65535
#define SPOOL_BYTES_MIN     4096
/* It is part of a frame that a broker takes before frame_max is agreed upon. */
#define NAME_MAX_BYTES 1024

void warren_publisher_options_init(struct warren_publisher_options *options)
{
    if (!options)
        return;
    *options = (struct warren_publisher_options){
        .size = sizeof *options,
        .window_messages = 1000,
        .window_bytes = (size_t)64 * 1024 * 1024,
        .when_full = WARREN_BLOCK,
        .block_timeout_ms = 30000,
        .timeout_ms = 120000,
        .heartbeat_s = 30,
        .connect_timeout_ms = 10000,
        .reconnect_delay_min_ms = 100,
        .reconnect_delay_max_ms = 10000,
        .spool_max_bytes = (uint64_t)1024 * 1024 * 1024,
        .delay_longest_ms = UINT64_C(30) * 24 * 3600 * 1000,
    };
}

/* A program that was compiled against an older header knows fewer members: the rest is default. */
static enum warren_status copy_options(const struct warren_publisher_options *from,
                                       struct warren_publisher_options *options,
                                       struct warren_error *error)
{
    size_t least = offsetof(struct warren_publisher_options, uri_count) + sizeof(size_t);

    warren_publisher_options_init(options);
    if (!from || from->size < least || from->size > sizeof *options)
        return error_set(error, WARREN_EINVAL,
                         "publisher options must be filled in by warren_publisher_options_init()");
    memcpy(options, from, from->size);
    options->size = sizeof *options;
    return WARREN_OK;
}

/* A number, and what it may be. */
struct range {
    const char *name;
    uint64_t value;
    uint64_t min;
    uint64_t max; /* UINT64_MAX: no bound */
    const char *max_is;
};

static enum warren_status check_range(const struct range *range, struct warren_error *error)
{
    if (range->value >= range->min && range->value <= range->max)
        return WARREN_OK;
    if (range->max == UINT64_MAX)
        return error_set(error, WARREN_EINVAL, "%s must be at least %" PRIu64, range->name,
                         range->min);
    return error_set(error, WARREN_EINVAL,
                     "%s is %" PRIu64 ", must be %" PRIu64 " to %" PRIu64 "%s", range->name,
                     range->value, range->min, range->max, range->max_is ? range->max_is : "");
}

static enum warren_status check_numbers(const struct warren_publisher_options *o,
                                        struct warren_error *error)
{
    const struct range ranges[] = {
        {"window_messages", o->window_messages, 1, WINDOW_MESSAGES_MAX, NULL},
        {"window_bytes", o->window_bytes, 1, UINT64_MAX, NULL},
        {"heartbeat_s", o->heartbeat_s, 0, HEARTBEAT_MAX_S, NULL},
        {"connect_timeout_ms", o->connect_timeout_ms, 1, UINT64_MAX, NULL},
        {"reconnect_delay_min_ms", o->reconnect_delay_min_ms, 1, o->reconnect_delay_max_ms,
         " (reconnect_delay_max_ms)"},
        {"delay_longest_ms", o->delay_longest_ms, 1, DELAY_LONGEST_MAX_MS, NULL},
        {"spool_max_bytes", o->spool_max_bytes, SPOOL_BYTES_MIN, INT64_MAX / 2, NULL},
        {"spool_max_age_ms", o->spool_max_age_ms, 0, INT64_MAX / 2, NULL},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (check_range(&ranges[i], error) != WARREN_OK)
            return WARREN_EINVAL;
    if (o->name && strlen(o->name) > NAME_MAX_BYTES)
        return error_set(error, WARREN_EINVAL, "name has %zu bytes, must have at most %d",
                         strlen(o->name), NAME_MAX_BYTES);
    if (o->when_full != WARREN_BLOCK && o->when_full != WARREN_FAIL)
        return error_set(error, WARREN_EINVAL, "when_full must be WARREN_BLOCK or WARREN_FAIL");
    if (o->spool_path && !*o->spool_path)
        return error_set(error, WARREN_EINVAL, "spool_path is empty; NULL is for no spool");
    if ((unsigned)o->spool_when_full > WARREN_SPOOL_DROP_OLDEST)
        return error_set(error, WARREN_EINVAL,
                         "spool_when_full must be WARREN_SPOOL_BLOCK, WARREN_SPOOL_FAIL or "
                         "WARREN_SPOOL_DROP_OLDEST");
    return pace_check(o->rate, o->burst, o->timeout_ms, error);
}

/* Room for one byte too many and the line's end, so that a longer line is noticed. */
#define PASSWORD_LINE_SIZE (URI_PART_MAX + 2)

static enum warren_status read_password(const char *path, char line[PASSWORD_LINE_SIZE],
                                        struct warren_error *error)
{
    const char *why;
    FILE *file = input_file_stream(path, &why);
    enum warren_status status = WARREN_OK;
    size_t len;

    if (!file)
        return error_set(error, WARREN_ECONFIG, "password file %s: %s", path, why);
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the secret stays behind in a freed buffer */
    errno = 0;
    len = fread(line, 1, PASSWORD_LINE_SIZE - 1, file);
    if (len == 0) {
        status = error_set(error, WARREN_ECONFIG, "password file %s: %s", path,
                           errno ? strerror(errno) : "it is empty");
        goto done;
    }
    line[len] = '\n';
    len = 0;
    while (line[len] != '\r' && line[len] != '\n')
        len++;
    line[len] = '\0';
    if (strlen(line) < len)
        status =
            error_set(error, WARREN_ECONFIG, "password file %s: its first line holds a NUL", path);
    else if (line[0] == '\0')
        status =
            error_set(error, WARREN_ECONFIG, "password file %s: its first line is empty", path);
    else if (strlen(line) >= URI_PART_MAX)
        status = error_set(error, WARREN_ECONFIG,
                           "password file %s: its first line is longer than %d bytes", path,
                           URI_PART_MAX - 1);
done:
    fclose(file);
    return status;
}

static enum warren_status use_password_file(const char *path, struct uri *uris, size_t count,
                                            struct warren_error *error)
{
    char line[PASSWORD_LINE_SIZE] = "";
    enum warren_status status = read_password(path, line, error);

    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        memcpy(uris[i].password, line, strlen(line) + 1); /* its length was checked */
    explicit_bzero(line, sizeof line);
    return status;
}

static enum warren_status parse_uris(const struct warren_publisher_options *o, struct uri *uris,
                                     struct warren_error *error)
{
    for (size_t i = 0; i < o->uri_count; i++) {
        if (!o->uris[i])
            return error_set(error, WARREN_EINVAL, "URI %zu of the publisher is NULL", i + 1);
        if (uri_parse(o->uris[i], &uris[i], error) != WARREN_OK) {
            if (error)
                error->status = WARREN_ECONFIG;
            return WARREN_ECONFIG;
        }
        if (o->unnamed_vhost)
            uri_use_empty_path(o->uris[i], &uris[i]);
    }
    return o->password_file ? use_password_file(o->password_file, uris, o->uri_count, error)
                            : WARREN_OK;
}

static void fill_connection(const struct warren_publisher_options *o, struct uri *uris,
                            struct connection_options *connection)
{
    connection_options_init(connection);
    connection->name = o->name ? o->name : "warren";
    connection->uris = uris;
    connection->uri_count = o->uri_count;
    connection->tls = (struct tls_options){
        .ca_file = o->ca_file, .cert_file = o->cert_file, .key_file = o->key_file};
    connection->sasl_external = o->sasl_external;
    connection->heartbeat_s = o->heartbeat_s;
    connection->connect_timeout_ms = o->connect_timeout_ms;
    connection->reconnect_delay_min_ms = o->reconnect_delay_min_ms;
    connection->reconnect_delay_max_ms = o->reconnect_delay_max_ms;
    connection->frame_max = RECORD_FRAME_MAX;
    connection->read_window = o->window_messages;
}

enum warren_status publisher_settings_init(const struct warren_publisher_options *options,
                                           struct publisher_settings *settings,
                                           struct warren_error *error)
{
    struct warren_publisher_options *o = &settings->options;
    enum warren_status status;
    struct uri *uris;

    *settings = (struct publisher_settings){0};
    status = copy_options(options, o, error);
    if (status == WARREN_OK)
        status = check_numbers(o, error);
    if (status != WARREN_OK)
        return status;
    if (!o->uris || o->uri_count == 0)
        return error_set(error, WARREN_EINVAL, "a publisher needs at least one URI");
    uris = calloc(o->uri_count, sizeof *uris);
    if (!uris)
        return error_set(error, WARREN_ENOMEM, "out of memory for %zu URIs", o->uri_count);
    fill_connection(o, uris, &settings->connection);
    status = parse_uris(o, uris, error);
    if (status != WARREN_OK)
        publisher_settings_done(settings);
    return status;
}

void publisher_settings_done(struct publisher_settings *settings)
{
    /* They were allocated here; the connection only borrows them as const. */
    struct uri *uris = (struct uri *)(uintptr_t)settings->connection.uris;

    if (uris)
        explicit_bzero(uris, settings->connection.uri_count * sizeof *uris);
    free(uris);
    settings->connection.uris = NULL;
}
