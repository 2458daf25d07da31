/* command_worker.h - the commands about a worker, its configuration, plugins and files.
 * Thread: main. Elsewhere: each of them (command_run.c, ...).
 */
#ifndef WARREN_COMMAND_COMMAND_WORKER_H
#define WARREN_COMMAND_COMMAND_WORKER_H

#include "command/cli/cli.h"

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_handlers;
extern const struct command command_invoke;
extern const struct command command_config_reference;
extern const struct command command_db_check;
extern const struct command command_db_backup;

#endif
