#include "command/cli/print.h"
#include "command/topology/command_topology.h"
#include "command/topology/topology_json.h"
#include "command/topology/topology_print.h"

struct plan {
    struct broker_options broker; /* first */
    bool check;
    bool json;
};

static const struct cli_option options[] = {
    TOPOLOGY_ROWS("The worker's configuration"),
    CLI_FLAG("check", '\0', "Fail (1) if something would change, or not all could be seen",
             struct plan, check),
    CLI_FLAG("json", '\0', "Print the plan as JSON", struct plan, json), CLI_END};

bool topology_request(struct broker_options *options_read, struct cli *cli, bool file_needed,
                      struct config **ret_config)
{
    if (!broker_options_read(options_read, cli, NULL))
        return false;
    cli->status = cli_end(cli, "");
    if (cli->status == CLI_OK && file_needed && !options_read->config_file)
        cli->status = cli_usage(cli, "which topology? -c FILE names the configuration of a worker");
    if (cli->status == CLI_OK)
        cli->status = broker_options_load(options_read, cli, ret_config);
    return cli->status == CLI_OK;
}

static enum cli_status print(const struct plan *plan, struct cli *cli,
                             const struct topology_view *view)
{
    if (plan->json)
        cli_print_json(topology_json_plan(view));
    else
        topology_print_plan(view);
    fflush(stdout);
    if (!plan->check)
        return CLI_OK;
    if (topology_changes(view) > 0)
        return cli_failed(cli, "the broker has not what the file wants");
    return view->whole ? CLI_OK : cli_failed(cli, "not all could be seen: %s", view->why);
}

static enum cli_status run(struct cli *cli)
{
    struct plan plan = {.check = false};
    struct warren_error error = {WARREN_OK, ""};
    struct topology_view view = {.whole = false};
    struct config *config = NULL;
    enum warren_status status;
    enum cli_status result;

    if (!topology_request(&plan.broker, cli, true, &config))
        return cli->status;
    status = topology_view_init(&view, config, &error);
    if (status == WARREN_OK && !view.whole)
        status = topology_view_ask_amqp(&view, config, &error);
    result = status == WARREN_OK ? print(&plan, cli, &view) : cli_error(cli, &error);
    topology_view_done(&view);
    config_free(config);
    return result;
}

const struct command command_topology_plan = {
    .name = "topology plan",
    .arguments = "-c FILE",
    .summary = "Show how a broker's exchanges, queues and bindings differ from a file's",
    .options = options,
    .run = run,
    .details =
        "Nothing is changed. Each line begins with what it is about:\n"
        "  +  is missing; a worker, or `warren topology apply`, declares it\n"
        "  !  is there with other arguments, which never change; both sides are shown\n"
        "  ?  is missing, and nobody declares it\n"
        "  -  a binding that the file does not have; `warren topology apply --prune` removes it\n"
        "Dead-letter exchanges and queues are part of it, and of the delay queues those that are\n"
        "there. Bindings and arguments are told by RabbitMQ's management API alone: without its\n"
        "address, or for a user without the tag management, what AMQP tells is shown, and what "
        "was\n"
        "not seen.\n\n"
        "Exit status: 0; with --check 1 if something would change or was not seen; 1 if the "
        "broker\n"
        "cannot be reached, 2 for a wrong command line or configuration.\n",
};
