/* command.h - run `warren` to its end, and look at all that it did.
 * Thread: the test's. A command that does not end within a minute fails the test.
 */
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct command {
    int status; /* as proc_wait() */
    char *out;
    char *err;
};

/**
 * Run `warren`.
 *
 * @arguments  NULL-terminated, without the program
 * @input      what it reads on standard input; NULL: nothing
 * @env        NULL-terminated "NAME=value" list added to ours; may be NULL
 */
struct command command_run(const char *const *arguments, const char *input, const char *const *env);
#define COMMAND(...)              command_run((const char *const[]){__VA_ARGS__, NULL}, NULL, NULL)
#define COMMAND_READS(input, ...) command_run((const char *const[]){__VA_ARGS__, NULL}, input, NULL)

/** Run a shell script in which $WARREN is the program; @a and @b are its $1 and $2. */
struct command command_shell(const char *script, const char *a, const char *b);

/**
 * Run `warren` on a terminal of 80 columns; all it writes is in @out.
 *
 * @env  NULL-terminated "NAME=value" list added to ours; may be NULL
 */
struct command command_on_terminal(const char *const *arguments, const char *const *env);

/** The same, with @typed on the keyboard from the beginning; it shows on the screen, too. */
struct command command_typed(const char *const *arguments, const char *const *env,
                             const char *typed);

/** Frees both texts. */
void command_done(struct command *command);

/** Fail the test, with all that was said, unless the exit status is @status. */
void command_expect(const struct command *command, int status);

/** How many lines @text has; one without a newline counts too. */
size_t lines_in(const char *text);

#endif
