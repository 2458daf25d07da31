/* broker_options.c - see broker_options.h. */
#include "command/cli/broker_options.h"

#include <string.h>
#include <unistd.h>

#include "app/settings.h"

bool broker_take_key(struct cli *cli, const struct cli_option *option, void *value)
{
    struct broker_options *options = value;
    struct warren_error error = {WARREN_OK, ""};
    const char *text = cli_text(cli);
    size_t size = strlen(option->key) + strlen(text) + 2;
    char *set = arena_alloc(&cli->arena, size);
    char name[32];

    if (!*text)
        return cli_stop(cli, "--%s: it is empty, expected %s", option->name, option->argument);
    if (!set) {
        cli->status = cli_failed(cli, "no memory");
        return false;
    }
    snprintf(set, size, "%s=%s", option->key, text);
    snprintf(name, sizeof name, "--%s", option->name);
    if (config_check_set(name, set, &error) != WARREN_OK)
        return cli_stop(cli, "%s", error.text);
    return cli_list_add(cli, &options->sets, set);
}

bool broker_options_read(struct broker_options *options, struct cli *cli, const char *set)
{
    return (!set || cli_list_add(cli, &options->sets, set)) && cli_read(cli, options);
}

enum cli_status broker_options_load(const struct broker_options *options, struct cli *cli,
                                    struct config **ret_config)
{
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;

    if (config_load(options->config_file, environ, options->sets.items, options->sets.count,
                    &config, &error) != WARREN_OK)
        return cli_error(cli, &error);
    if (options->uris.count > 0) {
        config->broker.uri = options->uris.items;
        config->broker.uri_count = options->uris.count;
    } else if (settings_check(config, &error) != WARREN_OK) {
        config_free(config);
        return cli_error(cli, &error);
    }
    *ret_config = config;
    return CLI_OK;
}
