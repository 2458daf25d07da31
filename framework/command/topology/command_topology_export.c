#include <string.h>

#include "command/cli/print.h"
#include "command/topology/command_topology.h"
#include "command/topology/management.h"
#include "command/topology/topology_yaml.h"

struct export
{
    struct broker_options broker; /* first */
};

static const struct cli_option options[] = {TOPOLOGY_ROWS("A configuration that says which broker"),
                                            CLI_END};

static void write_comment(size_t count, const char *what)
{
    if (count > 0)
        printf("# left out: %zu %s\n", count, what);
}

static enum cli_status print(struct cli *cli, const struct management_topology *found,
                             struct arena *arena)
{
    struct topology_yaml_left_out left;

    if (!topology_yaml_write(stdout, &found->topology, arena, &left))
        return cli_failed(cli, "no memory");
    write_comment(left.amq, "of the broker's own (amq.*)");
    write_comment(left.delay, "of warren's delay queues and their exchanges");
    write_comment(left.exclusive, "exclusive queues");
    write_comment(found->skipped, "with a NUL in a text, or an argument without a name");
    return CLI_OK;
}

static void write_where(const struct settings_management *settings)
{
    printf("# virtual host ");
    topology_yaml_text(stdout, settings->vhost, strlen(settings->vhost));
    printf(" of %s\n", settings->login.base);
}

static enum warren_status read_all(const struct config *config, struct arena *arena,
                                   struct management_topology *ret, struct warren_error *error)
{
    struct settings_management settings;
    struct management *management = NULL;
    enum warren_status status = settings_management(config, &settings, error);

    if (status != WARREN_OK)
        return status;
    status = management_new(&settings, &management, error);
    if (status == WARREN_OK)
        status = management_read(management, arena, ret, error);
    if (status == WARREN_OK)
        write_where(&settings);
    settings_management_done(&settings);
    management_free(management);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct export export = {.broker = {.config_file = NULL}};
    struct management_topology found;
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    struct arena arena;
    enum cli_status result;

    if (!topology_request(&export.broker, cli, false, &config))
        return cli->status;
    arena_init(&arena);
    if (!*config->broker.management)
        result = cli_usage(cli, "whose? --management URL, or broker.management of -c FILE, names "
                                "RabbitMQ's management API");
    else if (read_all(config, &arena, &found, &error) != WARREN_OK)
        result = cli_error(cli, &error);
    else
        result = print(cli, &found, &arena);
    arena_done(&arena);
    config_free(config);
    return result;
}

const struct command command_topology_export = {
    .name = "topology export",
    .arguments = "--management URL",
    .summary = "Write what a broker's virtual host has as YAML for a configuration",
    .options = options,
    .run = run,
    .details =
        "Exchanges, queues and bindings of the virtual host of the broker (--uri, broker.uri), as\n"
        "the section topology of a configuration. Left out, and named in comments, is what no "
        "file\n"
        "can declare: amq.*, exclusive queues, types that warren does not know; and the delay\n"
        "queues, which warren declares by itself. Policies are not exported.\n\n" BROKER_HELP
        "\nExit status: 0; 1 if the API cannot be asked, 2 for a wrong command line or "
        "configuration.\n",
};
