/* command_reference.c - pages that warren writes about itself: its options, its metrics. */
#include "base/metric_reference.h"
#include "command/worker/command_worker.h"
#include "config/config.h"
#include "middleware/builtin.h"

void config_reference_write(FILE *out)
{
    struct config_middleware_help middlewares[BUILTIN_COUNT + 1] = {{NULL, NULL, NULL}};

    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        const struct warren_middleware *m = builtin_middlewares[i];

        middlewares[i] = (struct config_middleware_help){m->name, m->help, m->options};
    }
    config_write_reference(out, middlewares);
}

static enum cli_status print(struct cli *cli, void (*write_reference)(FILE *out))
{
    if (!cli_read(cli, NULL))
        return cli->status;
    if (cli_end(cli, "") != CLI_OK)
        return CLI_USAGE;
    write_reference(stdout);
    return CLI_OK;
}

static enum cli_status print_options(struct cli *cli)
{
    return print(cli, config_reference_write);
}

static enum cli_status print_metrics(struct cli *cli)
{
    return print(cli, metric_write_reference);
}

const struct command command_config_reference = {
    .name = "config reference",
    .arguments = "",
    .summary = "Print the reference of all options as Markdown",
    .run = print_options,
};

const struct command command_metrics_reference = {
    .name = "metrics reference",
    .arguments = "",
    .summary = "Print the reference of all metrics as Markdown",
    .run = print_metrics,
};
