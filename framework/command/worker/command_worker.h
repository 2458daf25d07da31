/* command_worker.h - the commands about a worker, its configuration, plugins and files.
 * Thread: main. Elsewhere: each of them (command_run.c, ...).
 */
#ifndef WARREN_COMMAND_COMMAND_WORKER_H
#define WARREN_COMMAND_COMMAND_WORKER_H

#include <warren/worker.h>

#include "command/cli/cli.h"

/** What `run` and `check` take in the same way. */
struct worker_request {
    const char *config_file;
    struct cli_list sets;
};

/** --config, --set; the struct that a command's options fill begins with a worker_request. */
extern const struct cli_option worker_request_rows[];

/** cli_read() into the struct that @request begins, and what it means for @worker. */
bool worker_request_read(struct worker_request *request, struct cli *cli,
                         struct warren_worker_options *worker);

/** What `config reference` prints: config_write_reference() with warren's own middlewares. */
void config_reference_write(FILE *out);

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_health;
extern const struct command command_handlers;
extern const struct command command_invoke;
extern const struct command command_config_reference;
extern const struct command command_metrics_reference;
extern const struct command command_db_check;
extern const struct command command_db_backup;
extern const struct command command_try_plugin; /* hidden */

#endif
