/* message_options.h - the options of commands that publish: where to, what, with which properties,
 * by which broker. One list, so that they are the same everywhere.
 * Thread: main. Elsewhere: what a command adds of its own (command_publish.c, command_request.c).
 */
#ifndef WARREN_COMMAND_MESSAGE_OPTIONS_H
#define WARREN_COMMAND_MESSAGE_OPTIONS_H

#include <warren/publisher.h>

#include "base/buffer.h"
#include "command/cli/cli.h"
#include "config/config.h"

/** Largest body: what RabbitMQ accepts at most. */
#define MESSAGE_BODY_MAX ((size_t)128 * 1024 * 1024)

#define MESSAGE_HEADERS_MAX 256

#define OPTION_TEXT(name, letter, value, help, argument)                                           \
    {                                                                                              \
        name, letter, POPT_ARG_STRING, NULL, value, help, argument                                 \
    }
#define OPTION_FLAG(name, letter, value, help)                                                     \
    {                                                                                              \
        name, letter, POPT_ARG_NONE, NULL, value, help, NULL                                       \
    }

/** A command's own options have values below. */
enum message_option {
    MESSAGE_BODY = 500,
    MESSAGE_FILE,
    MESSAGE_QUEUE,
    MESSAGE_EXCHANGE,
    MESSAGE_ROUTING_KEY,
    MESSAGE_HEADER,
    MESSAGE_CONTENT_TYPE,
    MESSAGE_CONTENT_ENCODING,
    MESSAGE_ID,
    MESSAGE_CORRELATION_ID,
    MESSAGE_REPLY_TO,
    MESSAGE_EXPIRATION,
    MESSAGE_PRIORITY,
    MESSAGE_TYPE,
    MESSAGE_USER_ID,
    MESSAGE_APP_ID,
    MESSAGE_TIMESTAMP,
    MESSAGE_TRANSIENT,
    MESSAGE_OPTIONAL,
    MESSAGE_URI,
    MESSAGE_CONFIG,
    MESSAGE_SET
};

/* Rows of a command's option table. */
#define MESSAGE_DESTINATION_OPTIONS                                                                \
    OPTION_TEXT("queue", 'q', MESSAGE_QUEUE, "Publish to this queue, by the default exchange",     \
                "NAME"),                                                                           \
        OPTION_TEXT("exchange", 'e', MESSAGE_EXCHANGE, "Publish to this exchange", "NAME"),        \
        OPTION_TEXT("routing-key", 'k', MESSAGE_ROUTING_KEY, "With this routing key", "KEY")

#define MESSAGE_PROPERTY_OPTIONS                                                                   \
    OPTION_TEXT("header", 'H', MESSAGE_HEADER,                                                     \
                "Add a header, such as tries:i64=5; may be repeated", "NAME[:TYPE]=VALUE"),        \
        OPTION_TEXT("content-type", '\0', MESSAGE_CONTENT_TYPE, "Such as application/json",        \
                    "TEXT"),                                                                       \
        OPTION_TEXT("content-encoding", '\0', MESSAGE_CONTENT_ENCODING, "Such as gzip", "TEXT"),   \
        OPTION_TEXT("message-id", '\0', MESSAGE_ID, "Instead of a new UUIDv7 for each message",    \
                    "TEXT"),                                                                       \
        OPTION_TEXT("expiration", '\0', MESSAGE_EXPIRATION, "Time to live in the queue", "MS"),    \
        OPTION_TEXT("priority", '\0', MESSAGE_PRIORITY, "0 to 255", "N"),                          \
        OPTION_TEXT("type", '\0', MESSAGE_TYPE, "What kind of message it is", "TEXT"),             \
        OPTION_TEXT("user-id", '\0', MESSAGE_USER_ID, "Must be the connection's user", "TEXT"),    \
        OPTION_TEXT("app-id", '\0', MESSAGE_APP_ID, "Who publishes", "TEXT"),                      \
        OPTION_TEXT("timestamp", '\0', MESSAGE_TIMESTAMP, "Seconds since 1970", "S")

#define MESSAGE_BROKER_OPTIONS                                                                     \
    OPTION_TEXT("uri", 'u', MESSAGE_URI, "The broker; may be repeated, then tried in rotation",    \
                "URI"),                                                                            \
        OPTION_TEXT("config", 'c', MESSAGE_CONFIG,                                                 \
                    "Take the broker from the worker's configuration", "FILE"),                    \
        OPTION_TEXT("set", 's', MESSAGE_SET, "Set an option, as in the file; may be repeated",     \
                    "KEY=VALUE")

/** What they said. Zero it, but for @cli. */
struct message_options {
    struct cli *cli;
    struct warren_publish publish; /* without its message */
    struct warren_message message;
    struct warren_field headers[MESSAGE_HEADERS_MAX];
    const char *body; /* --body */
    const char *file; /* --file */
    const char *queue;
    const char *config_file;
    struct cli_list sets;
    struct cli_list uris;
    struct buffer content; /* of @file, or of standard input */
};

/** Frees what was read. */
void message_options_done(struct message_options *options);

/** Take one of the options above. @return false: it is wrong, cli->status says how to end */
bool message_options_take(struct message_options *options, int option);
/** --set @key with the argument of the last option, @option ("--window"), which an error names. */
bool message_options_set(struct message_options *options, const char *option, const char *key);
/** Print that the last option, --@option, with the value @text is wrong. @return false */
bool message_options_refuse(struct message_options *options, const char *option, const char *text,
                            const char *why);

/** One way to say where to, at most one way to say what. After the last option. */
enum cli_status message_options_check(struct message_options *options);
/**
 * Have message.body: --body, or what can be read from --file, or else, if @use_stdin, from standard
 * input.
 */
enum cli_status message_options_read(struct message_options *options, bool use_stdin);

/**
 * Read the configuration, if there is one, and make the publisher's options of it, which borrow
 * from @ret_config and from @options.
 *
 * @name  for the broker's list of connections
 */
enum cli_status message_options_publisher(struct message_options *options, const char *name,
                                          struct config **ret_config,
                                          struct warren_publisher_options *publisher);

#endif
