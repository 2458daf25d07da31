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

static enum cli_status run(struct cli *cli)
{
    if (!cli_read(cli, NULL))
        return cli->status;
    if (cli_end(cli, "") != CLI_OK)
        return CLI_USAGE;
    config_reference_write(stdout);
    return CLI_OK;
}

const struct command command_config_reference = {
    .name = "config reference",
    .arguments = "",
    .summary = "Print the reference of all options as Markdown",
    .run = run,
};
