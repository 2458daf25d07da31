/* commands.h - the commands of `warren`, and how a command line finds its own.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_COMMANDS_H
#define WARREN_COMMAND_COMMANDS_H

#include "command/cli/cli.h"

/** All of them; ends with NULL. */
extern const struct command *const commands[];

/** Run the command that @argv names. @return the exit status; see enum cli_status */
int commands_main(int argc, const char **argv);

#endif
