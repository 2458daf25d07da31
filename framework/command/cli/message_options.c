#include "command/cli/message_options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "base/field_type.h"
#include "base/input_file.h"
#include "base/real.h"
#include "base/suggest.h"
#include "command/cli/cli.h"

/* ---- headers ---- */

/* Whether a word can hold such a value. */
static bool fits_a_word(const struct field_type *type)
{
    return type->type == WARREN_STRING ||
           (type->form != FIELD_DECIMAL && !field_type_has_length(type));
}

static enum warren_status unknown_type(const char *word, struct warren_error *error)
{
    const char *names[FIELD_TYPE_COUNT];
    size_t count = 0;
    const char *near;

    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++)
        if (fits_a_word(&field_types[i]))
            names[count++] = field_types[i].name;
    near = suggest(word, names, count);
    if (near)
        return error_set(error, WARREN_EINVAL, "unknown type \"%s\"; did you mean \"%s\"?", word,
                         near);
    return error_set(error, WARREN_EINVAL,
                     "unknown type \"%s\" (a name with a colon is written NAME:string=TEXT)", word);
}

static int64_t max_of(const struct field_type *type)
{
    return type->form == FIELD_TIMESTAMP ? INT64_MAX : type->max;
}

static enum warren_status bad_value(const char *value, const struct field_type *type,
                                    struct warren_error *error)
{
    if (max_of(type) != 0)
        return error_set(error, WARREN_EINVAL,
                         "\"%s\" is no %s, a whole number from %" PRId64 " to %" PRId64, value,
                         type->name, type->min, max_of(type));
    return error_set(error, WARREN_EINVAL, "\"%s\" is no %s%s", value, type->name,
                     type->form == FIELD_REAL ? ", a finite number" : "");
}

static bool parse_integer(const char *text, const struct field_type *type, int64_t *ret)
{
    return cli_parse_number(text, type->min, max_of(type), ret);
}

static bool parse_value(const char *text, const struct field_type *type, struct warren_value *value)
{
    int64_t number;
    char *end;

    switch (type->form) {
    case FIELD_BYTES:
        value->as.bytes = warren_text(text);
        return true;
    case FIELD_BOOL:
        value->as.boolean = strcmp(text, "true") == 0;
        return value->as.boolean || strcmp(text, "false") == 0;
    case FIELD_REAL:
        value->as.real = c_strtod(text, &end);
        return end != text && !*end && real_fits(value->type, value->as.real);
    case FIELD_TIMESTAMP:
        if (!parse_integer(text, type, &number))
            return false;
        value->as.timestamp = (uint64_t)number;
        return true;
    case FIELD_INTEGER:
        return parse_integer(text, type, &value->as.integer);
    default: /* void */
        return !*text;
    }
}

enum warren_status header_argument_parse(struct arena *arena, const char *text,
                                         struct warren_field *field, struct warren_error *error)
{
    const char *equals = strchr(text, '=');
    char *name = arena_text(arena, text, equals ? (size_t)(equals - text) : strlen(text));
    char *colon = name ? strrchr(name, ':') : NULL;
    const struct field_type *type = NULL;
    const char *word = "string";

    if (!name)
        return error_set(error, WARREN_ENOMEM, "no memory");
    if (!equals)
        return error_set(error, WARREN_EINVAL, "it is written NAME=TEXT or NAME:TYPE=VALUE");
    if (colon) {
        *colon = '\0';
        word = colon + 1;
    }
    if (!*name || strlen(name) > 255)
        return error_set(error, WARREN_EINVAL, "a name has 1 to 255 bytes");
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++)
        if (fits_a_word(&field_types[i]) && strcmp(word, field_types[i].name) == 0)
            type = &field_types[i];
    if (!type)
        return unknown_type(word, error);
    memset(field, 0, sizeof *field);
    field->name = name;
    field->value.type = type->type;
    return parse_value(equals + 1, type, &field->value) ? WARREN_OK
                                                        : bad_value(equals + 1, type, error);
}

#define READ_STEP ((size_t)64 * 1024)

/* The window must hold the one message that is asked for, whatever its size. */
#define HEADERS_ROOM ((size_t)1024 * 1024)

void message_options_done(struct message_options *o)
{
    buffer_done(&o->content);
}

/* ---- the options ---- */

static bool take_header(struct cli *cli, const struct cli_option *option, void *value)
{
    struct message_options *o = value;
    struct warren_table *table = &o->message.properties.headers;
    struct warren_error error = {WARREN_OK, "more than 256 headers"};
    const char *text = cli_text(cli);

    if (table->count == MESSAGE_HEADERS_MAX ||
        header_argument_parse(&cli->arena, text, &o->headers[table->count], &error) != WARREN_OK)
        return cli_refuse(cli, option, text, error.text);
    table->fields = o->headers;
    table->count++;
    return true;
}

/* RabbitMQ closes the channel for anything but a number of milliseconds. */
static bool take_expiration(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    *(const char **)value = text;
    return (*text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 10) ||
           cli_refuse(cli, option, text, "it is a whole number of milliseconds");
}

static bool take_priority(struct cli *cli, const struct cli_option *option, void *value)
{
    struct warren_properties *properties = value;
    uint64_t number = 0;

    properties->has_priority = cli_take_number(cli, option, &number);
    properties->priority = (uint8_t)number;
    return properties->has_priority;
}

static bool take_timestamp(struct cli *cli, const struct cli_option *option, void *value)
{
    struct warren_properties *properties = value;

    properties->has_timestamp = cli_take_number(cli, option, &properties->timestamp);
    return properties->has_timestamp;
}

#define SHORT(name, letter, help, argument, member)                                                \
    CLI_OPTION(name, letter, help, argument, cli_take_short, struct message_options, member)
#define PROPERTY(name, help, member) SHORT(name, '\0', help, "TEXT", message.properties.member)

const struct cli_option message_option_rows[] = {
    SHORT("queue", 'q', "Publish to this queue, by the default exchange", "NAME", queue),
    SHORT("exchange", 'e', "Publish to this exchange", "NAME", publish.exchange),
    SHORT("routing-key", 'k', "With this routing key", "KEY", publish.routing_key),
    {.name = "header",
     .letter = 'H',
     .help = "Add a header, such as tries:i64=5; may be repeated",
     .argument = "NAME[:TYPE]=VALUE",
     .take = take_header},
    PROPERTY("content-type", "Such as application/json", content_type),
    PROPERTY("content-encoding", "Such as gzip", content_encoding),
    PROPERTY("message-id", "Instead of a new UUIDv7 for each message", message_id),
    CLI_OPTION("expiration", '\0', "Time to live in the queue", "MS", take_expiration,
               struct message_options, message.properties.expiration),
    {CLI_ROW("priority", '\0', "0 to 255", "N", take_priority,
             offsetof(struct message_options, message.properties)),
     .max = 255},
    PROPERTY("type", "What kind of message it is", type),
    PROPERTY("user-id", "Must be the connection's user", user_id),
    PROPERTY("app-id", "Who publishes", app_id),
    {CLI_ROW("timestamp", '\0', "Seconds since 1970", "S", take_timestamp,
             offsetof(struct message_options, message.properties)),
     .max = INT64_MAX},
    CLI_END};

const struct cli_option message_broker_rows[] = {
    BROKER_URI, BROKER_CONFIG("Take the broker from the worker's configuration"), BROKER_SET,
    CLI_END};

bool message_options_take(struct message_options *o, struct cli *cli, const char *timeout)
{
    o->cli = cli;
    return broker_options_read(&o->broker, cli, timeout);
}

/* ---- all of them ---- */

enum cli_status message_options_check(struct message_options *o)
{
    struct warren_publish *publish = &o->publish;

    if (cli_end(o->cli, "; a body is given by --body") != CLI_OK)
        return CLI_USAGE;
    if (o->queue && (publish->exchange || publish->routing_key))
        return cli_usage(o->cli, "--queue, or --exchange and --routing-key, not both");
    if (!o->queue && !publish->exchange && !publish->routing_key)
        return cli_usage(o->cli, "where to? Give --queue, or --exchange and --routing-key");
    if (o->queue && !*o->queue)
        return cli_usage(o->cli, "--queue: a queue has a name");
    if (o->body && o->file)
        return cli_usage(o->cli, "--body or --file, not both");
    if (o->queue)
        publish->routing_key = o->queue;
    if (!publish->routing_key)
        publish->routing_key = "";
    return CLI_OK;
}

/* A body that cannot be had is a wrong command line: nothing was tried. */
static enum cli_status cannot(const struct message_options *o, const char *what, const char *name,
                              const char *why)
{
    cli_failed(o->cli, "cannot %s %s: %s", what, name, why);
    return CLI_USAGE;
}

static enum cli_status read_all(struct message_options *o, int fd, const char *name)
{
    enum warren_status status;
    ssize_t n = 1;

    /* There is no room for one step more when there is one byte too many. */
    buffer_init(&o->content, MESSAGE_BODY_MAX + READ_STEP);
    while (n > 0) {
        status = buffer_reserve(&o->content, READ_STEP);
        if (status == WARREN_EFULL) {
            cli_failed(o->cli, "%s is larger than 128 MiB", name);
            return CLI_USAGE;
        }
        if (status != WARREN_OK)
            return cli_failed(o->cli, "no memory for %s", name);
        n = read(fd, buffer_back(&o->content), READ_STEP);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            return cannot(o, "read", name, strerror(errno));
        else
            buffer_added(&o->content, (size_t)n);
    }
    o->message.body = (struct warren_bytes){buffer_front(&o->content), buffer_len(&o->content)};
    return CLI_OK;
}

enum cli_status message_options_read(struct message_options *o, bool use_stdin)
{
    enum cli_status result;
    const char *why;
    int fd;

    if (o->body)
        o->message.body = warren_text(o->body);
    if (!o->file)
        return o->body || !use_stdin ? CLI_OK : read_all(o, STDIN_FILENO, "standard input");
    fd = input_file_open(o->file, &why);
    if (fd < 0)
        return cannot(o, "open", o->file, why);
    result = read_all(o, fd, o->file);
    close(fd);
    return result;
}

enum cli_status message_options_publisher(struct message_options *o, const char *name,
                                          struct config **ret_config,
                                          struct warren_publisher_options *publisher)
{
    enum cli_status status = broker_options_load(&o->broker, o->cli, ret_config);

    if (status != CLI_OK)
        return status;
    settings_log(*ret_config);
    settings_publisher(*ret_config, name, publisher);
    if (publisher->window_bytes < o->message.body.len + HEADERS_ROOM)
        publisher->window_bytes = o->message.body.len + HEADERS_ROOM;
    return CLI_OK;
}
