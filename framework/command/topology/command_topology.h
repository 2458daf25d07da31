/* command_topology.h - the commands of `warren topology`.
 * Thread: main. Elsewhere: each of them (command_topology_plan.c, ...).
 */
#ifndef WARREN_COMMAND_COMMAND_TOPOLOGY_H
#define WARREN_COMMAND_COMMAND_TOPOLOGY_H

#include "command/cli/broker_options.h"

/** Rows that all of them have. */
#define TOPOLOGY_ROWS(config_help)                                                                 \
    BROKER_CONFIG(config_help), BROKER_URI, BROKER_SET,                                            \
        BROKER_KEY("management", '\0',                                                             \
                   "RabbitMQ's management API, such as http://broker:15672; broker.management "    \
                   "unless given",                                                                 \
                   "URL", "broker.management")

/**
 * cli_read() into the struct that @options begins, no further argument, and the configuration,
 * which must be given if @file_needed.
 *
 * @return false: the command shall end with cli->status, as after cli_read()
 */
bool topology_request(struct broker_options *options, struct cli *cli, bool file_needed,
                      struct config **ret_config);

extern const struct command command_topology_plan;
extern const struct command command_topology_apply;
extern const struct command command_topology_export;

#endif
