/* completion.h - what a shell completes of a command line: words of commands, options, and their
 * arguments where the tables know what these are.
 * A script is a template, completion.bash or completion.zsh, in which a line "#@PART" stands where
 * the rows of the tables go.
 * Thread: one.
 */
#ifndef WARREN_MANUAL_COMPLETION_H
#define WARREN_MANUAL_COMPLETION_H

#include <stdbool.h>
#include <stdio.h>

#include "command/commands.h"

/** What an argument is. */
enum completion_kind {
    COMPLETION_NONE, /* an option that has none */
    COMPLETION_TEXT, /* whatever it is, a shell cannot know */
    COMPLETION_FILE,
    COMPLETION_FOLDER,
    COMPLETION_SETTING, /* KEY=VALUE of the configuration */
    COMPLETION_WORDS    /* one of some */
};

struct completion {
    enum completion_kind kind;
    const char *name;  /* as --help shows it */
    int name_len;      /* bytes of it */
    const char *words; /* "a|b" */
    bool repeats;      /* of an argument: there may be any number of it */
};

/** Bound on the arguments of a command that are no options. */
#define COMPLETION_ARGUMENTS_MAX 8

struct completion completion_of_option(const struct cli_option *option);
/** What stands behind the options, read from "[OPTION...] FILE [ID...]". @return how many */
size_t completion_arguments(const struct command *command,
                            struct completion arguments[COMPLETION_ARGUMENTS_MAX]);
/** All options of @rows and of the tables inside, in order. */
void completion_options(const struct cli_option *rows,
                        void (*each)(void *user, const struct cli_option *option), void *user);

/** Write the script that @template is of. */
void completion_bash(FILE *out, const char *template);
void completion_zsh(FILE *out, const char *template);

/** Copy @template; @write_part writes what a line "#@PART" stands for, and knows each. */
void completion_fill(FILE *out, const char *template,
                     void (*write_part)(FILE *out, const char *part));

#endif
