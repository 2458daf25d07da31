/* cli.h - what the commands share: options by popt, errors with "did you mean", exit statuses.
 * Thread: main. Elsewhere: the commands themselves (commands.h).
 */
#ifndef WARREN_COMMAND_CLI_H
#define WARREN_COMMAND_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <popt.h>

#include <warren/status.h>

#include "base/arena.h"

/** Exit statuses. */
enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1, /* it was tried, and failed */
    CLI_USAGE = 2   /* wrong command line or configuration: nothing was tried */
};

struct cli;

/** One command. Rows of @options have a value above 0 and no address: see cli_next(). */
struct command {
    const char *name;      /* "publish", "config reference" */
    const char *arguments; /* "-c FILE" */
    const char *summary;   /* one sentence without a full stop */
    const struct poptOption *options;
    enum cli_status (*run)(struct cli *cli);
    void (*write_details)(FILE *out); /* what --help prints below the options; may be NULL */
};

/** A command line being read. */
struct cli {
    const struct command *command;
    poptContext context;
    struct arena arena;     /* texts and lists, until the command returns */
    enum cli_status status; /* meaningful once cli_next() returned CLI_STOP */
};

/** The value of `--help`, which every command has; not for commands. */
#define CLI_HELP 1000
/** What cli_next() returns when the command shall end with cli->status. */
#define CLI_STOP (-1)

/** Run @command; @argv[0] is the word before the first option or argument. */
enum cli_status cli_run(const struct command *command, int argc, const char **argv);

/** The next option's value, 0 after the last one, or CLI_STOP: help or the error was printed. */
int cli_next(struct cli *cli);
/** The argument of the last option; it lives until the command returns. Ask once an option. */
const char *cli_text(struct cli *cli);
/** The argument as a whole number in a range; false: the error was printed. */
bool cli_number(struct cli *cli, const char *option, int64_t min, int64_t max, int64_t *ret);
/** The next argument that is no option, or NULL. After cli_next() returned 0. */
const char *cli_argument(struct cli *cli);

/** Print "warren COMMAND: error: words" to stderr. @return CLI_FAILED */
enum cli_status cli_failed(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** The same, and how to get help. @return CLI_USAGE */
enum cli_status cli_usage(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Print @error. @return CLI_USAGE if plugin or configuration are wrong, else CLI_FAILED */
enum cli_status cli_error(const struct cli *cli, const struct warren_error *error);

/** Whether @out is a terminal that may be coloured (https://no-color.org). */
bool cli_colour(FILE *out);

/** A list of texts that grows with a repeated option. Zeroed is empty. */
struct cli_list {
    const char **items; /* borrowed texts; the array lives until the command returns */
    size_t count;
};
/** Bound on a repeated option. */
#define CLI_LIST_MAX 1024
/** false: the bound is reached or memory ran out; the error was printed. */
bool cli_list_add(struct cli *cli, struct cli_list *list, const char *text);

#endif
