/* broker_options.h - the options of commands that talk to a broker: which one, and by which
 * configuration.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_BROKER_OPTIONS_H
#define WARREN_COMMAND_BROKER_OPTIONS_H

#include "command/cli/cli.h"
#include "config/config.h"

/** What they said. The struct that a command's options fill begins with it. */
struct broker_options {
    const char *config_file;
    struct cli_list sets;
    struct cli_list uris;
};

/* Rows of an option table. */
#define BROKER_CONFIG(help)                                                                        \
    CLI_TEXT("config", 'c', help, "FILE", struct broker_options, config_file)
#define BROKER_URI                                                                                 \
    CLI_LIST("uri", 'u', "The broker; may be repeated, then tried in rotation", "URI",             \
             struct broker_options, uris)
#define BROKER_SET                                                                                 \
    CLI_LIST("set", 's', "Set an option, as in the file; may be repeated", "KEY=VALUE",            \
             struct broker_options, sets)
/** An option that sets one of the configuration. */
#define BROKER_KEY(name_, letter_, help_, argument_, key_)                                         \
    {                                                                                              \
        .name = (name_), .letter = (letter_), .help = (help_), .argument = (argument_),            \
        .take = broker_take_key, .key = (key_)                                                     \
    }
cli_take_fn broker_take_key;

/** What --help says of the broker that is meant. */
#define BROKER_HELP                                                                                \
    "Where no --uri and no -c is given, WARREN_BROKER_URI names the broker, else it is\n"          \
    "amqp://guest:guest@127.0.0.1:5672/.\n"

/**
 * cli_read() into the struct that @options begins.
 *
 * @set  "KEY=VALUE" that holds unless the command line sets it; NULL: none
 */
bool broker_options_read(struct broker_options *options, struct cli *cli, const char *set);

/** The configuration, checked, its broker the one that is meant. It borrows from @options. */
enum cli_status broker_options_load(const struct broker_options *options, struct cli *cli,
                                    struct config **ret_config);

#endif
