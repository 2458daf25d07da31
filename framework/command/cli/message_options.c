#include "command/cli/message_options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/input_file.h"
#include "command/cli/header_argument.h"

#define READ_STEP ((size_t)64 * 1024)

void message_options_done(struct message_options *o)
{
    buffer_done(&o->content);
}

/* ---- one option ---- */

bool message_options_refuse(struct message_options *o, const char *option, const char *text,
                            const char *why)
{
    o->cli->status = cli_usage(o->cli, "--%s %s: %s", option, text, why);
    return false;
}

static bool add_header(struct message_options *o)
{
    struct warren_table *table = &o->message.properties.headers;
    struct warren_error error = {WARREN_OK, "more than 256 headers"};
    const char *text = cli_text(o->cli);

    if (table->count == MESSAGE_HEADERS_MAX ||
        header_argument_parse(&o->cli->arena, text, &o->headers[table->count], &error) != WARREN_OK)
        return message_options_refuse(o, "header", text, error.text);
    table->fields = o->headers;
    table->count++;
    return true;
}

/* A property of AMQP is a short string. */
static bool take_property(struct message_options *o, const char *option, const char **ret)
{
    *ret = cli_text(o->cli);
    return strlen(*ret) <= 255 || message_options_refuse(o, option, "...", "longer than 255 bytes");
}

/* RabbitMQ closes the channel for anything but a number of milliseconds. */
static bool take_expiration(struct message_options *o)
{
    const char *text = cli_text(o->cli);

    o->message.properties.expiration = text;
    return (*text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 10) ||
           message_options_refuse(o, "expiration", text, "it is a whole number of milliseconds");
}

static bool take_number(struct message_options *o, const char *option, int64_t max, uint64_t *ret)
{
    int64_t number = 0;

    if (!cli_number(o->cli, option, 0, max, &number))
        return false;
    *ret = (uint64_t)number;
    return true;
}

bool message_options_set(struct message_options *o, const char *option, const char *key)
{
    struct warren_error error = {WARREN_OK, ""};
    const char *value = cli_text(o->cli);
    size_t size = strlen(key) + strlen(value) + 2;
    char *text = arena_alloc(&o->cli->arena, size);

    if (!text) {
        o->cli->status = cli_failed(o->cli, "no memory");
        return false;
    }
    snprintf(text, size, "%s=%s", key, value);
    if (config_check_set(option, text, &error) != WARREN_OK) {
        o->cli->status = cli_usage(o->cli, "%s", error.text);
        return false;
    }
    return cli_list_add(o->cli, &o->sets, text);
}

static bool take_property_option(struct message_options *o, int option)
{
    struct warren_properties *p = &o->message.properties;
    uint64_t number = 0;

    switch (option) {
    case MESSAGE_HEADER:
        return add_header(o);
    case MESSAGE_CONTENT_TYPE:
        return take_property(o, "content-type", &p->content_type);
    case MESSAGE_CONTENT_ENCODING:
        return take_property(o, "content-encoding", &p->content_encoding);
    case MESSAGE_ID:
        return take_property(o, "message-id", &p->message_id);
    case MESSAGE_CORRELATION_ID:
        return take_property(o, "correlation-id", &p->correlation_id);
    case MESSAGE_REPLY_TO:
        return take_property(o, "reply-to", &p->reply_to);
    case MESSAGE_EXPIRATION:
        return take_expiration(o);
    case MESSAGE_PRIORITY:
        p->has_priority = take_number(o, "priority", 255, &number);
        p->priority = (uint8_t)number;
        return p->has_priority;
    case MESSAGE_TYPE:
        return take_property(o, "type", &p->type);
    case MESSAGE_USER_ID:
        return take_property(o, "user-id", &p->user_id);
    case MESSAGE_APP_ID:
        return take_property(o, "app-id", &p->app_id);
    default: /* MESSAGE_TIMESTAMP */
        p->has_timestamp = take_number(o, "timestamp", INT64_MAX, &p->timestamp);
        return p->has_timestamp;
    }
}

bool message_options_take(struct message_options *o, int option)
{
    switch (option) {
    case MESSAGE_BODY:
        o->body = cli_text(o->cli);
        return true;
    case MESSAGE_FILE:
        o->file = cli_text(o->cli);
        return true;
    case MESSAGE_QUEUE:
        return take_property(o, "queue", &o->queue);
    case MESSAGE_EXCHANGE:
        return take_property(o, "exchange", &o->publish.exchange);
    case MESSAGE_ROUTING_KEY:
        return take_property(o, "routing-key", &o->publish.routing_key);
    case MESSAGE_TRANSIENT:
        o->publish.transient = true;
        return true;
    case MESSAGE_OPTIONAL:
        o->publish.optional = true;
        return true;
    case MESSAGE_URI:
        return cli_list_add(o->cli, &o->uris, cli_text(o->cli));
    case MESSAGE_CONFIG:
        o->config_file = cli_text(o->cli);
        return true;
    case MESSAGE_SET:
        return cli_list_add(o->cli, &o->sets, cli_text(o->cli));
    default:
        return take_property_option(o, option);
    }
}

/* ---- all of them ---- */

enum cli_status message_options_check(struct message_options *o)
{
    struct warren_publish *publish = &o->publish;
    const char *extra = cli_argument(o->cli);

    if (extra)
        return cli_usage(o->cli, "unexpected \"%s\"; a body is given by --body", extra);
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
    ssize_t n = 1;

    buffer_init(&o->content, MESSAGE_BODY_MAX + 1);
    while (n > 0) {
        size_t left = MESSAGE_BODY_MAX + 1 - buffer_len(&o->content);
        size_t size = left < READ_STEP ? left : READ_STEP;

        if (size == 0) {
            cli_failed(o->cli, "%s is larger than 128 MiB", name);
            return CLI_USAGE;
        }
        if (buffer_reserve(&o->content, size) != WARREN_OK)
            return cli_failed(o->cli, "no memory for %s", name);
        n = read(fd, buffer_back(&o->content), size);
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
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;

    if (config_load(o->config_file, environ, o->sets.items, o->sets.count, &config, &error) !=
        WARREN_OK)
        return cli_error(o->cli, &error);
    if (o->uris.count == 0 && settings_check(config, &error) != WARREN_OK) {
        config_free(config);
        return cli_error(o->cli, &error);
    }
    settings_log(config);
    settings_publisher(config, name, publisher);
    if (o->uris.count > 0) {
        publisher->uris = o->uris.items;
        publisher->uri_count = o->uris.count;
    }
    *ret_config = config;
    return CLI_OK;
}
