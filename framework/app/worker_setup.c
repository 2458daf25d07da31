#include "app/worker_setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "app/worker_batch.h"
#include "app/worker_order.h"
#include "app/worker_store.h"
#include "base/error.h"
#include "config/node.h"
#include "middleware/builtin.h"
#include "observe/admin.h"
#include "plugin/loader.h"

static enum warren_status refused(const struct config *config, size_t index,
                                  enum warren_status status, const struct warren_error *why,
                                  struct warren_error *error)
{
    char where[CONFIG_WHERE_SIZE];

    config_where(config, "plugins", index, where, sizeof where);
    return error_set(error, status, "%s: %s", where, why->text);
}

/* At a start: nothing runs. */
static const struct setup_running nothing = {NULL, 0, NULL};

/* A hash of the content of a file. */
typedef uint8_t content_hash[SIPHASH_SIZE];

/* @content: that it must have; NULL: any */
static enum warren_status load(const struct config *config, size_t index, unsigned number,
                               const uint8_t *content, struct plugin **ret_plugin,
                               struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status =
        plugin_load_anew(config->plugins[index], number, content, ret_plugin, &why);

    return status == WARREN_OK ? status : refused(config, index, status, &why, error);
}

enum warren_status worker_setup_load(const struct config *config, size_t index,
                                     struct plugin **ret_plugin, struct warren_error *error)
{
    return load(config, index, 0, NULL, ret_plugin, error);
}

/* The plugin of that file, or of the program, if @running has it: its code is loaded already. */
static struct plugin *find_loaded(const struct setup_running *running, const char *file,
                                  size_t index)
{
    const struct worker_setup *setup = running->setup;

    for (size_t i = 0; setup && i < registry_count(setup->registry); i++) {
        struct plugin *plugin = registry_plugin(setup->registry, i);

        if (file ? plugin->library && strcmp(plugin->where, file) == 0 : i == index)
            return plugin;
    }
    return NULL;
}

/* @ret_plugin NULL: it is to be loaded */
static enum warren_status borrow(const struct worker_setup *setup, size_t index,
                                 const struct setup_running *running, struct plugin **ret_plugin,
                                 struct warren_error *error)
{
    struct plugin *plugin = find_loaded(running, setup->config->plugins[index], 0);
    enum plugin_file_state state = PLUGIN_FILE_OTHER;
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = plugin ? plugin_file_look(plugin, &state, &why) : WARREN_OK;

    *ret_plugin = NULL;
    if (status == WARREN_OK && plugin && state == PLUGIN_FILE_OVERWRITTEN)
        status = error_set(&why, WARREN_EPLUGIN,
                           "%s: the file was written over while its code runs: restart the worker, "
                           "and next time copy the new file beside its place, then rename it",
                           plugin->where);
    if (status != WARREN_OK)
        return refused(setup->config, index, status, &why, error);
    if (plugin && state == PLUGIN_FILE_SAME)
        *ret_plugin = plugin_ref(plugin);
    return WARREN_OK;
}

/* All of them, before any is loaded here. What is not to be loaded has no hash: if its file is
 * another one a moment later, it is not taken either. */
static enum warren_status try_plugins(const struct worker_setup *setup,
                                      const struct setup_running *running, content_hash *tried,
                                      struct warren_error *error)
{
    const struct config *config = setup->config;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < config->plugins_count; i++) {
        struct warren_error why = {WARREN_OK, ""};
        struct plugin *plugin;

        status = borrow(setup, i, running, &plugin, error);
        if (status != WARREN_OK || plugin) {
            plugin_free(plugin);
            continue;
        }
        status = plugin_try(running->trial, config->plugins[i], tried[i], &why);
        if (status != WARREN_OK)
            refused(config, i, status, &why, error);
    }
    return status;
}

static enum warren_status add_plugin(struct worker_setup *setup, size_t index,
                                     const struct setup_running *running, const uint8_t *content,
                                     struct warren_error *error)
{
    struct plugin *plugin;
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = borrow(setup, index, running, &plugin, error);

    if (status == WARREN_OK && !plugin)
        status = load(setup->config, index, running->number, content, &plugin, error);
    if (status != WARREN_OK)
        return status;
    status = registry_add(setup->registry, plugin, &why);
    return status == WARREN_OK ? status : refused(setup->config, index, status, &why, error);
}

/* The program's own. */
static enum warren_status add_built_in(struct worker_setup *setup,
                                       const struct warren_worker_options *options,
                                       const struct setup_running *running,
                                       struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    struct plugin *plugin;

    for (size_t i = 0; status == WARREN_OK && i < options->plugin_count; i++) {
        plugin = find_loaded(running, NULL, i);
        if (plugin)
            plugin_ref(plugin);
        else
            status = plugin_new(options->plugins[i], "built in", &plugin, error);
        if (status == WARREN_OK)
            status = registry_add(setup->registry, plugin, error);
    }
    return status;
}

static enum warren_status add_plugins(struct worker_setup *setup,
                                      const struct setup_running *running,
                                      struct warren_error *error)
{
    size_t count = setup->config->plugins_count;
    enum warren_status status = WARREN_OK;
    content_hash *tried = NULL;

    if (running->trial) {
        tried = calloc(count + 1, sizeof *tried);
        if (!tried)
            return error_set(error, WARREN_ENOMEM, "no memory for the plugins");
        status = try_plugins(setup, running, tried, error);
    }
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = add_plugin(setup, i, running, tried ? tried[i] : NULL, error);
    free(tried);
    return status;
}

static enum warren_status find_handler(struct worker_setup *setup, size_t index,
                                       struct warren_error *error)
{
    struct setup_subscription *subscription = &setup->subscriptions[index];
    const struct config_subscription *config = &setup->config->subscriptions[index];
    struct warren_error found = {WARREN_OK, ""};

    subscription->config = config;
    if (registry_find(setup->registry, config->handler, &subscription->handler, &found) !=
        WARREN_OK)
        return error_set(error, WARREN_ECONFIG, "%s: %s", config->where, found.text);
    return config_handler_options(setup->config, config, subscription->handler->options,
                                  &subscription->options, error);
}

static enum warren_status find_table(void *user, const char *name,
                                     const struct warren_option **ret_table,
                                     struct warren_error *error)
{
    const struct warren_middleware *middleware;
    enum warren_status status = registry_find_middleware(user, name, &middleware, error);

    if (status == WARREN_OK)
        *ret_table = middleware->options;
    return status;
}

enum warren_status worker_setup_chains(const struct registry *registry, struct config *config,
                                       struct warren_error *error)
{
    struct config_standard_link standard[BUILTIN_COUNT];
    const struct config_catalog catalog = {
        .find = find_table,
        .in_order = builtin_in_order,
        .standard = standard,
        .standard_count = BUILTIN_COUNT,
        .user = (void *)(uintptr_t)registry, /* only read */
    };

    for (size_t i = 0; i < BUILTIN_COUNT; i++)
        standard[i] = (struct config_standard_link){
            .name = builtin_middlewares[i]->name,
            .always = builtin_is_standard(builtin_middlewares[i]->name)};
    return config_chains(config, &catalog, error);
}

static enum warren_status read_config(struct worker_setup *setup,
                                      const struct warren_worker_options *options,
                                      struct warren_error *error)
{
    const char *name = options->config_file;
    enum warren_status status;

    if (options->config_text && options->config_file)
        return error_set(error, WARREN_EINVAL,
                         "config_file and config_text are given; only one can be");
    if (options->config_text)
        name = options->config_name ? options->config_name : "config_text";
    status = config_load_text(options->config_text, name, environ, options->sets,
                              options->set_count, &setup->config, error);
    if (status == WARREN_OK && setup->config->subscription_count == 0)
        return error_set(error, WARREN_ECONFIG,
                         "%s: there is nothing to do: name a queue and a handler under "
                         "subscriptions",
                         name ? name : "configuration");
    return status;
}

enum warren_status worker_setup_again(struct worker_setup *setup,
                                      const struct warren_worker_options *options,
                                      const struct setup_running *running,
                                      struct warren_error *error)
{
    enum warren_status status;

    *setup = (struct worker_setup){0};
    status = read_config(setup, options, error);
    if (status != WARREN_OK)
        return status;
    status = settings_check(setup->config, error);
    if (status == WARREN_OK)
        status = admin_check(setup->config, error);
    if (status != WARREN_OK)
        return status;
    setup->registry = registry_new(builtin_middlewares);
    setup->subscriptions = calloc(setup->config->subscription_count, sizeof *setup->subscriptions);
    if (!setup->registry || !setup->subscriptions)
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    status = add_built_in(setup, options, running, error);
    if (status == WARREN_OK)
        status = add_plugins(setup, running, error);
    for (size_t i = 0; status == WARREN_OK && i < setup->config->subscription_count; i++)
        status = find_handler(setup, i, error);
    if (status == WARREN_OK)
        status = worker_setup_chains(setup->registry, setup->config, error);
    if (status == WARREN_OK)
        status = worker_order_check(setup, error);
    if (status == WARREN_OK)
        status = worker_batch_check(setup, error);
    return status == WARREN_OK ? worker_store_check(setup, error) : status;
}

enum warren_status worker_setup_init(struct worker_setup *setup,
                                     const struct warren_worker_options *options,
                                     struct warren_error *error)
{
    return worker_setup_again(setup, options, &nothing, error);
}

void worker_setup_show(const struct worker_setup *setup)
{
    for (size_t i = 0; i < setup->config->subscription_count; i++) {
        const struct config_subscription *subscription = &setup->config->subscriptions[i];
        const struct config_middleware *retry =
            config_find_link(subscription, middleware_retry.name);

        if (retry)
            config_options_show(retry->options, "max_attempts",
                                retry_attempts(warren_options_int(retry->options, "max_attempts"),
                                               subscription->dead_exchange != NULL));
    }
}

void worker_setup_done(struct worker_setup *setup)
{
    free(setup->subscriptions);
    registry_free(setup->registry);
    config_free(setup->config);
    *setup = (struct worker_setup){0};
}
