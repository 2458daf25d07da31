/* cli.h - what the commands share: options by popt, errors with "did you mean", exit statuses.
 * An option is one row of a table: its name, its help, and the variable that it sets.
 * Thread: main. Elsewhere: the commands themselves (commands.h).
 */
#ifndef WARREN_COMMAND_CLI_H
#define WARREN_COMMAND_CLI_H

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
struct cli_option;

/** Read the argument of an option, cli_text(), into @value. @return false: the error was printed */
typedef bool cli_take_fn(struct cli *cli, const struct cli_option *option, void *value);

/** A row of a table of options; one without a name ends it. The macros below make them. */
struct cli_option {
    const char *name;
    char letter; /* '\0': none */
    const char *help;
    const char *argument; /* "FILE", as --help shows it; NULL: the option is a flag */
    size_t offset;        /* of the variable, in the struct that cli_read() fills */
    cli_take_fn *take;
    int64_t min; /* of a number */
    int64_t max;
    const char *key;               /* of the configuration, for the option that sets it */
    const char *choices;           /* "a|b": words that it may be; the taker checks. NULL: any */
    const struct cli_option *rows; /* these stand here; all else is zero */
};

/** The rows of another table. @... of a macro: the variable's struct and member. */
#define CLI_ROWS(table)                                                                            \
    {                                                                                              \
        .name = "", .rows = (table)                                                                \
    }
#define CLI_ROW(name_, letter_, help_, argument_, take_, offset_)                                  \
    .name = (name_), .letter = (letter_), .help = (help_), .argument = (argument_),                \
    .take = (take_), .offset = (offset_)
/** Where @member is, which the compiler knows to be a @wanted. */
#define CLI_PLACE(wanted, type, member)                                                            \
    (offsetof(type, member) + 0 * sizeof((wanted *)NULL == &((type *)NULL)->member))
/** A variable of whatever type @take fills. */
#define CLI_OPTION(name, letter, help, argument, take, type, member)                               \
    {                                                                                              \
        CLI_ROW(name, letter, help, argument, take, offsetof(type, member))                        \
    }
/** A bool, which becomes true. */
#define CLI_FLAG(name, letter, help, type, member)                                                 \
    {                                                                                              \
        CLI_ROW(name, letter, help, NULL, cli_take_flag, CLI_PLACE(bool, type, member))            \
    }
/** A const char *, whatever stands there. */
#define CLI_TEXT(name, letter, help, argument, type, member)                                       \
    {                                                                                              \
        CLI_ROW(name, letter, help, argument, cli_take_text,                                       \
                CLI_PLACE(const char *, type, member))                                             \
    }
/** A struct cli_list, to which each use adds a text. */
#define CLI_LIST(name, letter, help, argument, type, member)                                       \
    {                                                                                              \
        CLI_ROW(name, letter, help, argument, cli_take_list,                                       \
                CLI_PLACE(struct cli_list, type, member))                                          \
    }
/** A uint64_t in a range of whole numbers that are not negative. */
#define CLI_NUMBER(name, letter, help, argument, min_, max_, type, member)                         \
    {                                                                                              \
        .min = (min_), .max = (max_),                                                              \
        CLI_ROW(name, letter, help, argument, cli_take_number, CLI_PLACE(uint64_t, type, member))  \
    }
#define CLI_END                                                                                    \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/** One command. */
struct command {
    const char *name;                 /* "publish", "config reference" */
    const char *arguments;            /* "-c FILE" */
    const char *summary;              /* one sentence without a full stop */
    const struct cli_option *options; /* NULL: none */
    enum cli_status (*run)(struct cli *cli);
    const char *details;           /* what --help prints below the options; NULL: nothing, */
    void (*write_more)(FILE *out); /* and behind that; may be NULL */
};

/** Bound on the options of a command. */
#define CLI_OPTIONS_MAX 64

/** A command line being read. */
struct cli {
    const struct command *command;
    poptContext context;
    const struct cli_option *rows[CLI_OPTIONS_MAX]; /* all rows, those of other tables among them */
    size_t row_count;
    struct arena arena;     /* texts and lists, until the command returns */
    enum cli_status status; /* meaningful once cli_read() returned false */
};

/** Run @command; @argv[0] is the word before the first option or argument. */
enum cli_status cli_run(const struct command *command, int argc, const char **argv);

/**
 * Read all options into the variables of @target, a struct that the rows name.
 *
 * @return false: the command shall end with cli->status, for help or an error was printed
 */
bool cli_read(struct cli *cli, void *target);

/** @text as a whole number in a range. @return false: it is none */
bool cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *ret);

/* For takers of a command's own. */

/** The argument of the option at hand; it lives until the command returns. Ask once an option. */
const char *cli_text(struct cli *cli);
cli_take_fn cli_take_flag, cli_take_text, cli_take_list, cli_take_number;
/** A double: messages a second, "50" or "50/s". */
cli_take_fn cli_take_rate;
/** A text of at most 255 bytes, as those of AMQP are. */
cli_take_fn cli_take_short;
/** Say that --OPTION TEXT is wrong, and why. @return false */
bool cli_refuse(struct cli *cli, const struct cli_option *option, const char *text,
                const char *why);

/** A word of the command line in an error: its longest, with the NUL. */
#define CLI_WORD_SIZE 128
/** @text for an error: without control characters, and cut where it is longer. @return @word */
const char *cli_word(const char *text, char word[CLI_WORD_SIZE]);

/** The next argument that is no option, or NULL. After cli_read(). */
const char *cli_argument(struct cli *cli);
/** CLI_OK: there is no further argument; else it is unexpected, and @hint stands behind it. */
enum cli_status cli_end(struct cli *cli, const char *hint);

/**
 * Print "warren COMMAND: error: words" to stderr, without "error:" if @status is CLI_OK, and how to
 * get help if it is CLI_USAGE.
 *
 * @return @status
 */
enum cli_status cli_say(const struct cli *cli, enum cli_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define cli_failed(cli, ...) cli_say(cli, CLI_FAILED, __VA_ARGS__)
#define cli_usage(cli, ...)  cli_say(cli, CLI_USAGE, __VA_ARGS__)
#define cli_warn(cli, ...)   cli_say(cli, CLI_OK, __VA_ARGS__)
/** cli_usage() for who answers a bool: cli->status is what it returned. @return false */
#define cli_stop(cli, ...) ((cli)->status = cli_usage(cli, __VA_ARGS__), false)
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
