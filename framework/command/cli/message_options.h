/* message_options.h - the options of commands that publish: where to, what, with which properties,
 * by which broker. One list, so that they are the same everywhere.
 * Thread: main. Elsewhere: what a command adds of its own (command_publish.c, command_request.c).
 */
#ifndef WARREN_COMMAND_MESSAGE_OPTIONS_H
#define WARREN_COMMAND_MESSAGE_OPTIONS_H

#include "base/arena.h"
#include <warren/message.h>
#include <warren/publisher.h>

#include "base/buffer.h"
#include "command/cli/broker_options.h"

/** Largest body: what RabbitMQ accepts at most. */
#define MESSAGE_BODY_MAX ((size_t)128 * 1024 * 1024)

#define MESSAGE_HEADERS_MAX 256

/** --queue to --timestamp: where to, and with which properties. */
extern const struct cli_option message_option_rows[];
/* Further rows of a command's option table. */
#define MESSAGE_BODY(help) CLI_TEXT("body", 'b', help, "TEXT", struct message_options, body)
#define MESSAGE_FILE                                                                               \
    CLI_TEXT("file", 'f', "A file whose content is the body", "FILE", struct message_options, file)
#define MESSAGE_TRANSIENT                                                                          \
    CLI_FLAG("transient", '\0', "Not persistent: lost when the broker restarts",                   \
             struct message_options, publish.transient)
/** --uri, --config, --set */
extern const struct cli_option message_broker_rows[];

/** What they said. Zeroed; the struct that a command's options fill begins with it. */
struct message_options {
    struct broker_options broker;  /* first */
    struct cli *cli;               /* after message_options_take() */
    struct warren_publish publish; /* without its message */
    struct warren_message message;
    struct warren_field headers[MESSAGE_HEADERS_MAX];
    const char *body; /* --body */
    const char *file; /* --file */
    const char *queue;
    struct buffer content; /* of @file, or of standard input */
};

/** Frees what was read. */
void message_options_done(struct message_options *options);

/** broker_options_read(), with a default of @timeout, "publisher.timeout=30s". */
bool message_options_take(struct message_options *options, struct cli *cli, const char *timeout);

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

/* ---- header argument ----
 *
 * a header from a command line: NAME=TEXT, or NAME:TYPE=VALUE.
 *
 * TYPE is one of warren_type_name(): string (the default), i8 to i64, u8 to u32, bool, f32, f64,
 * timestamp (seconds since 1970), void (no value). What is behind the last colon of the name is
 * the type. Thread: any.
 */

/** @field borrows from @text and @arena. @return WARREN_OK, WARREN_EINVAL or WARREN_ENOMEM */
enum warren_status header_argument_parse(struct arena *arena, const char *text,
                                         struct warren_field *field, struct warren_error *error);

#endif
