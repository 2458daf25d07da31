/* command_try_plugin.c - what a worker that is to load a plugin runs first: app/plugin_trial.h. It
 * is in no help and no page, for its output is the worker's alone; `warren handlers` is for people.
 */
#include "app/plugin_trial.h"
#include "command/worker/command_worker.h"

static enum cli_status run(struct cli *cli)
{
    const char *file;

    if (!cli_read(cli, NULL))
        return cli->status;
    file = cli_argument(cli);
    if (!file)
        return cli_usage(cli, "which plugin? Name its .so file");
    if (cli_end(cli, ": one plugin at a time") != CLI_OK)
        return CLI_USAGE;
    plugin_trial_child(file);
}

const struct command command_try_plugin = {
    .name = PLUGIN_TRIAL_COMMAND,
    .arguments = "PLUGIN.so",
    .summary = "Load a plugin for a worker that asks whether it can, and end",
    .run = run,
};
