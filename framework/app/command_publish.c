#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/header_argument.h"
#include "app/publish_job.h"
#include "app/settings.h"
#include "base/buffer.h"
#include "config/value.h"

enum option {
    BODY = 1,
    BODY_FILE,
    QUEUE,
    EXCHANGE,
    ROUTING_KEY,
    HEADER,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    MESSAGE_ID,
    CORRELATION_ID,
    REPLY_TO,
    EXPIRATION,
    PRIORITY,
    TYPE,
    USER_ID,
    APP_ID,
    TIMESTAMP,
    TRANSIENT,
    OPTIONAL,
    DELAY,
    COUNT,
    RATE,
    WINDOW,
    TIMEOUT,
    URI,
    CONFIG,
    SET,
    JSON,
    QUIET
};

#define TEXT(name, letter, value, help, argument)                                                  \
    {                                                                                              \
        name, letter, POPT_ARG_STRING, NULL, value, help, argument                                 \
    }
#define FLAG(name, letter, value, help)                                                            \
    {                                                                                              \
        name, letter, POPT_ARG_NONE, NULL, value, help, NULL                                       \
    }

static const struct poptOption options[] = {
    TEXT("body", 'b', BODY, "The body; without it and --file, each line of stdin is one", "TEXT"),
    TEXT("file", 'f', BODY_FILE, "A file whose content is the body", "FILE"),
    TEXT("queue", 'q', QUEUE, "Publish to this queue, by the default exchange", "NAME"),
    TEXT("exchange", 'e', EXCHANGE, "Publish to this exchange", "NAME"),
    TEXT("routing-key", 'k', ROUTING_KEY, "With this routing key", "KEY"),
    TEXT("header", 'H', HEADER, "Add a header, such as tries:i64=5; may be repeated",
         "NAME[:TYPE]=VALUE"),
    TEXT("content-type", '\0', CONTENT_TYPE, "Such as application/json", "TEXT"),
    TEXT("content-encoding", '\0', CONTENT_ENCODING, "Such as gzip", "TEXT"),
    TEXT("message-id", '\0', MESSAGE_ID, "Instead of a new UUIDv7 for each message", "TEXT"),
    TEXT("correlation-id", '\0', CORRELATION_ID, "What a reply refers to", "TEXT"),
    TEXT("reply-to", '\0', REPLY_TO, "The queue for replies", "NAME"),
    TEXT("expiration", '\0', EXPIRATION, "Time to live in the queue", "MS"),
    TEXT("priority", '\0', PRIORITY, "0 to 255", "N"),
    TEXT("type", '\0', TYPE, "What kind of message it is", "TEXT"),
    TEXT("user-id", '\0', USER_ID, "Must be the connection's user", "TEXT"),
    TEXT("app-id", '\0', APP_ID, "Who publishes", "TEXT"),
    TEXT("timestamp", '\0', TIMESTAMP, "Seconds since 1970", "S"),
    FLAG("transient", '\0', TRANSIENT, "Not persistent: lost when the broker restarts"),
    FLAG("optional", '\0', OPTIONAL, "Not mandatory: dropped where no queue is bound"),
    TEXT("delay", 'd', DELAY, "Deliver them so much later, such as 90s or 2h; needs no worker",
         "TIME"),
    TEXT("count", 'n', COUNT, "How many messages; of stdin: at most so many lines", "N"),
    TEXT("rate", 'r', RATE, "At most so many messages a second", "N"),
    TEXT("window", 'w', WINDOW, "At most so many unconfirmed messages (publisher.window_messages)",
         "N"),
    TEXT("timeout", 't', TIMEOUT, "Longest time to connect, and until a message is confirmed (30s)",
         "TIME"),
    TEXT("uri", 'u', URI, "The broker; may be repeated, then tried in rotation", "URI"),
    TEXT("config", 'c', CONFIG, "Take the broker from the worker's configuration", "FILE"),
    TEXT("set", 's', SET, "Set an option, as in the file; may be repeated", "KEY=VALUE"),
    FLAG("json", 'j', JSON, "Print the summary as one JSON object"),
    FLAG("quiet", 'Q', QUIET, "Print only errors"),
    POPT_TABLEEND};

#define HEADERS_MAX 256

struct request {
    struct cli *cli;
    struct publish_job job;
    struct warren_field headers[HEADERS_MAX];
    const char *body;
    const char *file;
    const char *queue;
    const char *config_file;
    struct cli_list sets;
    struct cli_list uris;
    struct buffer content; /* of @file */
};

static bool refuse(struct request *r, const char *option, const char *text,
                   const struct warren_error *error)
{
    r->cli->status = cli_usage(r->cli, "--%s %s: %s", option, text, error->text);
    return false;
}

static bool add_header(struct request *r)
{
    struct warren_table *table = &r->job.message.properties.headers;
    struct warren_error error = {WARREN_OK, "more than 256 headers"};
    const char *text = cli_text(r->cli);

    if (table->count == HEADERS_MAX ||
        header_argument_parse(&r->cli->arena, text, &r->headers[table->count], &error) != WARREN_OK)
        return refuse(r, "header", text, &error);
    table->fields = r->headers;
    table->count++;
    return true;
}

/* A property of AMQP is a short string. */
static bool take_property(struct request *r, const char *option, const char **ret)
{
    const struct warren_error error = {WARREN_EINVAL, "longer than 255 bytes"};

    *ret = cli_text(r->cli);
    return strlen(*ret) <= 255 || refuse(r, option, "...", &error);
}

/* RabbitMQ closes the channel for anything but a number of milliseconds. */
static bool take_expiration(struct request *r)
{
    const struct warren_error error = {WARREN_EINVAL, "it is a whole number of milliseconds"};
    const char *text = cli_text(r->cli);

    r->job.message.properties.expiration = text;
    return (*text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 10) ||
           refuse(r, "expiration", text, &error);
}

static bool take_delay(struct request *r)
{
    const struct warren_error error = {WARREN_EINVAL, "it is a time such as 250ms, 90s, 2h or 30d"};
    const char *text = cli_text(r->cli);

    return config_duration_parse(text, &r->job.delay_ms) || refuse(r, "delay", text, &error);
}

static bool take_rate(struct request *r)
{
    const struct warren_error error = {WARREN_EINVAL, "it is a number from 0.001 to 1000000000"};
    const char *text = cli_text(r->cli);
    char *end;

    r->job.rate = strtod(text, &end);
    return (end != text && !*end && r->job.rate >= 0.001 && r->job.rate <= 1e9) ||
           refuse(r, "rate", text, &error);
}

/* What the option table of the configuration checks is given to it. */
static bool take_set(struct request *r, const char *key)
{
    const char *value = cli_text(r->cli);
    size_t size = strlen(key) + strlen(value) + 2;
    char *text = arena_alloc(&r->cli->arena, size);

    if (!text) {
        r->cli->status = cli_failed(r->cli, "no memory");
        return false;
    }
    snprintf(text, size, "%s=%s", key, value);
    return cli_list_add(r->cli, &r->sets, text);
}

static bool take_number(struct request *r, const char *option, int64_t min, int64_t max,
                        uint64_t *ret)
{
    int64_t number = 0;

    if (!cli_number(r->cli, option, min, max, &number))
        return false;
    *ret = (uint64_t)number;
    return true;
}

static bool take_message_option(struct request *r, int option)
{
    struct warren_properties *p = &r->job.message.properties;
    uint64_t number = 0;

    switch (option) {
    case HEADER:
        return add_header(r);
    case CONTENT_TYPE:
        return take_property(r, "content-type", &p->content_type);
    case CONTENT_ENCODING:
        return take_property(r, "content-encoding", &p->content_encoding);
    case MESSAGE_ID:
        return take_property(r, "message-id", &p->message_id);
    case CORRELATION_ID:
        return take_property(r, "correlation-id", &p->correlation_id);
    case REPLY_TO:
        return take_property(r, "reply-to", &p->reply_to);
    case EXPIRATION:
        return take_expiration(r);
    case PRIORITY:
        p->has_priority = take_number(r, "priority", 0, 255, &number);
        p->priority = (uint8_t)number;
        return p->has_priority;
    case TYPE:
        return take_property(r, "type", &p->type);
    case USER_ID:
        return take_property(r, "user-id", &p->user_id);
    case APP_ID:
        return take_property(r, "app-id", &p->app_id);
    default: /* TIMESTAMP */
        p->has_timestamp = take_number(r, "timestamp", 0, INT64_MAX, &p->timestamp);
        return p->has_timestamp;
    }
}

static bool take_option(struct request *r, int option)
{
    switch (option) {
    case BODY:
        r->body = cli_text(r->cli);
        return true;
    case BODY_FILE:
        r->file = cli_text(r->cli);
        return true;
    case QUEUE:
        return take_property(r, "queue", &r->queue);
    case EXCHANGE:
        return take_property(r, "exchange", &r->job.publish.exchange);
    case ROUTING_KEY:
        return take_property(r, "routing-key", &r->job.publish.routing_key);
    case TRANSIENT:
        r->job.publish.transient = true;
        return true;
    case OPTIONAL:
        r->job.publish.optional = true;
        return true;
    case DELAY:
        return take_delay(r);
    case COUNT:
        return take_number(r, "count", 1, INT64_MAX, &r->job.count);
    case RATE:
        return take_rate(r);
    case WINDOW:
        return take_set(r, "publisher.window_messages");
    case TIMEOUT:
        return take_set(r, "publisher.timeout");
    case URI:
        return cli_list_add(r->cli, &r->uris, cli_text(r->cli));
    case CONFIG:
        r->config_file = cli_text(r->cli);
        return true;
    case SET:
        return cli_list_add(r->cli, &r->sets, cli_text(r->cli));
    case JSON:
        r->job.json = true;
        return true;
    case QUIET:
        r->job.quiet = true;
        return true;
    default:
        return take_message_option(r, option);
    }
}

/* One way to say where to, one way to say what. */
static enum cli_status check_request(struct request *r)
{
    struct warren_publish *publish = &r->job.publish;
    const char *extra = cli_argument(r->cli);

    if (extra)
        return cli_usage(r->cli, "unexpected \"%s\"; a body is given by --body", extra);
    if (r->queue && (publish->exchange || publish->routing_key))
        return cli_usage(r->cli, "--queue, or --exchange and --routing-key, not both");
    if (!r->queue && !publish->exchange && !publish->routing_key)
        return cli_usage(r->cli, "where to? Give --queue, or --exchange and --routing-key");
    if (r->queue && !*r->queue)
        return cli_usage(r->cli, "--queue: a queue has a name");
    if (r->body && r->file)
        return cli_usage(r->cli, "--body or --file, not both");
    if (r->job.delay_ms > 0 && r->job.message.properties.expiration)
        return cli_usage(r->cli, "--delay or --expiration, not both: it would end the delay");
    if (r->queue)
        publish->routing_key = r->queue;
    if (!publish->routing_key)
        publish->routing_key = "";
    r->job.from_stdin = !r->body && !r->file;
    if (!r->job.from_stdin && r->job.count == 0)
        r->job.count = 1;
    if (r->body)
        r->job.body = warren_text(r->body);
    return CLI_OK;
}

static enum cli_status read_file(struct request *r)
{
    int fd = open(r->file, O_RDONLY | O_CLOEXEC);
    enum cli_status result = CLI_OK;
    ssize_t n = 1;

    if (fd < 0)
        return cli_failed(r->cli, "cannot open %s: %s", r->file, strerror(errno));
    buffer_init(&r->content, PUBLISH_BODY_MAX + 1);
    while (n > 0 && result == CLI_OK) {
        size_t size = (size_t)64 * 1024;
        size_t left = PUBLISH_BODY_MAX + 1 - buffer_len(&r->content);

        size = left < size ? left : size;
        if (size == 0)
            result = cli_failed(r->cli, "%s is larger than 128 MiB", r->file);
        else if (buffer_reserve(&r->content, size) != WARREN_OK)
            result = cli_failed(r->cli, "no memory for %s", r->file);
        else if ((n = read(fd, buffer_back(&r->content), size)) < 0)
            result = cli_failed(r->cli, "cannot read %s: %s", r->file, strerror(errno));
        else
            buffer_added(&r->content, (size_t)n);
    }
    close(fd);
    r->job.body = (struct warren_bytes){buffer_front(&r->content), buffer_len(&r->content)};
    return result;
}

static enum cli_status check_delay(const struct request *r, const struct config *config)
{
    char longest[CONFIG_NUMBER_SIZE];

    if (r->job.delay_ms <= config->delay.longest_ms)
        return CLI_OK;
    config_value_number(WARREN_OPTION_DURATION, config->delay.longest_ms, longest, sizeof longest);
    return cli_usage(r->cli, "--delay: at most %s (delay.longest)", longest);
}

static enum cli_status publish_with_config(struct request *r)
{
    struct warren_publisher_options publisher;
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    enum cli_status result;

    if (config_load(r->config_file, environ, r->sets.items, r->sets.count, &config, &error) !=
        WARREN_OK)
        return cli_error(r->cli, &error);
    if (r->uris.count == 0 && settings_check(config, &error) != WARREN_OK) {
        config_free(config);
        return cli_error(r->cli, &error);
    }
    result = check_delay(r, config);
    if (result != CLI_OK) {
        config_free(config);
        return result;
    }
    settings_log(config);
    settings_publisher(config, "warren publish", &publisher);
    if (r->uris.count > 0) {
        publisher.uris = r->uris.items;
        publisher.uri_count = r->uris.count;
    }
    result = publish_job_run(r->cli, &r->job, &publisher);
    config_free(config);
    return result;
}

static enum cli_status run(struct cli *cli)
{
    struct request request = {.cli = cli};
    enum cli_status result;
    int option;

    if (!cli_list_add(cli, &request.sets, "publisher.timeout=30s"))
        return cli->status;
    while ((option = cli_next(cli)) > 0)
        if (!take_option(&request, option))
            return cli->status;
    if (option == CLI_STOP)
        return cli->status;
    result = check_request(&request);
    if (result == CLI_OK && request.file)
        result = read_file(&request);
    if (result == CLI_OK)
        result = publish_with_config(&request);
    buffer_done(&request.content);
    return result;
}

static void write_details(FILE *out)
{
    fputs("Where no --uri and no -c is given, WARREN_BROKER_URI names the broker, else it is\n"
          "amqp://guest:guest@127.0.0.1:5672/.\n\n"
          "Exit status: 0 if every message was confirmed, 1 if not, 2 for a wrong command line.\n",
          out);
}

const struct command command_publish = {
    .name = "publish",
    .arguments = "--queue NAME | --exchange NAME --routing-key KEY",
    .summary = "Publish messages and wait for the broker's confirms",
    .options = options,
    .run = run,
    .write_details = write_details,
};
