#include "app/commands.h"
#include "config/config.h"

static const struct poptOption options[] = {POPT_TABLEEND};

static enum cli_status run(struct cli *cli)
{
    const char *extra;

    if (cli_next(cli) == CLI_STOP)
        return cli->status;
    extra = cli_argument(cli);
    if (extra)
        return cli_usage(cli, "unexpected \"%s\"", extra);
    config_write_reference(stdout);
    return CLI_OK;
}

const struct command command_config_reference = {
    .name = "config reference",
    .arguments = "",
    .summary = "Print the reference of all options as Markdown",
    .options = options,
    .run = run,
};
