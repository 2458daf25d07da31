/* commands.h - the commands of `warren`, and how a command line finds its own.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_COMMANDS_H
#define WARREN_COMMAND_COMMANDS_H

#include "command/cli/cli.h"

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_publish;
extern const struct command command_request;
extern const struct command command_handlers;
extern const struct command command_invoke;
extern const struct command command_config_reference;
extern const struct command command_db_check;
extern const struct command command_db_backup;

/** All of them; ends with NULL. */
extern const struct command *const commands[];

/** Run the command that @argv names. @return the exit status; see enum cli_status */
int commands_main(int argc, const char **argv);

#endif
