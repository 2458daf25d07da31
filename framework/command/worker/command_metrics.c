#include "base/metric_reference.h"
#include "command/worker/command_worker.h"

static enum cli_status run(struct cli *cli)
{
    if (!cli_read(cli, NULL))
        return cli->status;
    if (cli_end(cli, "") != CLI_OK)
        return CLI_USAGE;
    metric_write_reference(stdout);
    return CLI_OK;
}

const struct command command_metrics_reference = {
    .name = "metrics reference",
    .arguments = "",
    .summary = "Print the reference of all metrics as Markdown",
    .run = run,
};
