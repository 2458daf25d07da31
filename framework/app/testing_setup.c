#include "app/testing_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/worker_store.h"
#include "base/error.h"
#include "consume/job/chain.h"
#include "middleware/builtin.h"
#include "plugin/loader.h"

#define BARE_PLUGIN "test"

/* "PLUGIN.HANDLER" with both as long as they may be, and some more to be refused whole. */
#define FULL_NAME_SIZE (4 * PLUGIN_NAME_MAX)

/* ---- plugins ---- */

/* Of a @file, or NULL: as @descriptor says. */
static enum warren_status add(struct registry *registry, const struct warren_plugin *descriptor,
                              const char *file, struct warren_error *error)
{
    struct plugin *plugin;
    enum warren_status status = file ? plugin_load(file, &plugin, error)
                                     : plugin_new(descriptor, "built in", &plugin, error);

    return status == WARREN_OK ? registry_add(registry, plugin, error) : status;
}

static enum warren_status add_own(struct registry *registry,
                                  const struct warren_test_options *options,
                                  struct warren_error *error)
{
    const struct warren_handler none = {0};
    const struct warren_handler handlers[] = {options->bare ? *options->bare : none, none};
    const struct warren_plugin bare = WARREN_PLUGIN_INIT(.name = BARE_PLUGIN, .handlers = handlers);
    enum warren_status status = WARREN_OK;

    if (options->bare)
        status = add(registry, &bare, NULL, error);
    if (status == WARREN_OK && options->plugin)
        status = add(registry, options->plugin, NULL, error);
    if (status == WARREN_OK && options->plugin_file)
        status = add(registry, NULL, options->plugin_file, error);
    return status;
}

static bool is_there(const struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry_count(registry); i++)
        if (strcmp(registry_plugin(registry, i)->name, name) == 0)
            return true;
    return false;
}

/* What is under test takes the place of the file's plugin of the same name: it is another build of
 * it, with debugging symbols say. */
static enum warren_status add_of_file(struct testing_setup *setup, struct warren_error *error)
{
    const struct config *config = setup->worker.config;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < config->plugins_count; i++) {
        struct plugin *plugin = NULL;

        status = worker_setup_load(config, i, &plugin, error);
        if (status != WARREN_OK)
            break;
        if (is_there(setup->worker.registry, plugin->name))
            plugin_free(plugin);
        else
            status = registry_add(setup->worker.registry, plugin, error);
    }
    return status;
}

/* ---- which handler ---- */

/* @name becomes NULL if the file has to say which. */
static enum warren_status name_handler(const struct testing_setup *setup,
                                       const struct warren_test_options *options,
                                       char name[FULL_NAME_SIZE], struct warren_error *error)
{
    const struct plugin *own =
        setup->own_count > 0 ? registry_plugin(setup->worker.registry, 0) : NULL;
    const char *handler = options->handler;

    name[0] = '\0';
    if (!handler && own && own->handler_count == 1)
        handler = own->handlers[0].name;
    if (!handler && options->config_file)
        return WARREN_OK;
    if (!handler)
        return error_set(error, WARREN_EINVAL,
                         own ? "which handler? The plugin has %zu of them" : "no handler is given",
                         own ? own->handler_count : 0);
    if (strchr(handler, '.') || !own)
        snprintf(name, FULL_NAME_SIZE, "%s", handler);
    else
        snprintf(name, FULL_NAME_SIZE, "%s.%s", own->name, handler);
    return WARREN_OK;
}

static enum warren_status find_handler(struct testing_setup *setup,
                                       const struct warren_test_options *options,
                                       struct warren_error *error)
{
    struct setup_subscription *subscription = setup->worker.subscriptions;
    struct config *config = setup->worker.config;
    char name[FULL_NAME_SIZE];
    struct config_single single = {.queue = options->queue,
                                   .options = options->options,
                                   .option_count = options->option_count,
                                   .chain = options->chain};
    enum warren_status status = name_handler(setup, options, name, error);

    if (name[0])
        single.handler = name;
    if (status == WARREN_OK && name[0])
        status = registry_find(setup->worker.registry, name, &subscription->handler, error);
    if (status == WARREN_OK)
        status = config_single(config, &single, error);
    if (status == WARREN_OK)
        status = registry_find(setup->worker.registry, config->subscriptions[0].handler,
                               &subscription->handler, error);
    return status;
}

/* ---- opening ---- */

/* By hand one message is run once: there is nothing to remember. */
static enum warren_status open_stores(struct testing_setup *setup, bool by_hand,
                                      struct warren_error *error)
{
    const struct setup_subscription *subscription = setup->worker.subscriptions;
    enum warren_status status = WARREN_OK;

    if (subscription->handler->transactional)
        status = scratch_new(&setup->scratch, error);
    if (setup->scratch)
        setup->worker.scratch = scratch_handle(setup->scratch);
    if (status == WARREN_OK && !by_hand &&
        config_find_link(subscription->config, middleware_idempotency.name))
        status = testing_store_open(&setup->store, error);
    return status;
}

static enum warren_status open_subscription(struct testing_setup *setup, bool is_alone,
                                            bool by_hand, struct warren_error *error)
{
    struct worker_setup *worker = &setup->worker;
    struct setup_subscription *subscription = worker->subscriptions;
    const struct runtime_subscription *runs;
    enum warren_status status = worker_setup_chains(worker->registry, worker->config, error);

    subscription->config = worker->config->subscriptions;
    if (status == WARREN_OK)
        status =
            config_handler_options(worker->config, subscription->config,
                                   subscription->handler->options, &subscription->options, error);
    if (status == WARREN_OK && !is_alone)
        status = worker_store_check_chains(worker, error);
    if (status == WARREN_OK)
        status = open_stores(setup, by_hand, error);
    if (status == WARREN_OK)
        status = subscriptions_open(worker, setup->store.key_writer, &setup->open, error);
    if (status != WARREN_OK)
        return status;
    runs = setup->subscription = subscriptions_at(setup->open, 0);
    if (chain_init(&setup->chain, runs->middlewares, runs->middleware_count, false, runs->handler,
                   runs->state) != WARREN_OK ||
        chain_init(&setup->batches, runs->middlewares, runs->middleware_count, false, runs->handler,
                   runs->state) != WARREN_OK ||
        returned_publish_init(&setup->returned_publish, runs->middlewares,
                              runs->middleware_count) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the chain");
    chain_take_batches(&setup->batches);
    return WARREN_OK;
}

enum warren_status testing_setup_init(struct testing_setup *setup,
                                      const struct warren_test_options *options, bool by_hand,
                                      struct warren_error *error)
{
    bool is_alone = by_hand && !options->chain && !options->config_file;
    enum warren_status status;

    *setup = (struct testing_setup){0};
    status = config_load(options->config_file, options->config_file ? environ : NULL, NULL, 0,
                         &setup->worker.config, error);
    if (status != WARREN_OK)
        return status;
    setup->worker.registry = registry_new(builtin_middlewares);
    setup->worker.subscriptions = calloc(1, sizeof *setup->worker.subscriptions);
    if (!setup->worker.registry || !setup->worker.subscriptions)
        return error_set(error, WARREN_ENOMEM, "no memory for the subscription");
    status = add_own(setup->worker.registry, options, error);
    setup->own_count = registry_count(setup->worker.registry);
    if (status == WARREN_OK)
        status = add_of_file(setup, error);
    if (status == WARREN_OK)
        status = find_handler(setup, options, error);
    return status == WARREN_OK ? open_subscription(setup, is_alone, by_hand, error) : status;
}

/* ---- again ---- */

/* The same subscription, with @chain or the file's. */
static enum warren_status read_again(struct testing_setup *setup, const char *chain,
                                     struct config **ret_config, struct warren_error *error)
{
    const struct setup_subscription *running = setup->worker.subscriptions;
    const char *file = setup->worker.config->file;
    const struct config_single single = {
        .queue = running->config->queue, .chain = chain, .handler = running->config->handler};
    struct setup_subscription subscription = *running;
    struct worker_setup now = {.registry = setup->worker.registry, .subscriptions = &subscription};
    enum warren_status status =
        config_load(file, file ? environ : NULL, NULL, 0, &now.config, error);

    if (status == WARREN_OK)
        status = config_single(now.config, &single, error);
    if (status == WARREN_OK)
        status = worker_setup_chains(now.registry, now.config, error);
    if (status == WARREN_OK) {
        subscription.config = now.config->subscriptions;
        status = subscriptions_try(&now, error);
    }
    if (status == WARREN_OK)
        *ret_config = now.config;
    else
        config_free(now.config);
    return status;
}

enum warren_status testing_setup_reload(struct testing_setup *setup, const char *chain,
                                        struct warren_error *error)
{
    size_t count = setup->reload_count;
    struct config **reloaded = realloc(setup->reloaded, (count + 1) * sizeof(struct config *));
    struct name_list fixed = {0};
    struct config *now = NULL;
    enum warren_status status;

    if (!reloaded)
        return error_set(error, WARREN_ENOMEM, "no memory for the options");
    setup->reloaded = reloaded;
    status = read_again(setup, chain, &now, error);
    if (status != WARREN_OK)
        return status;
    reloaded[setup->reload_count++] = now;
    if (!config_same_chain(setup->worker.config->subscriptions, now->subscriptions))
        return error_set(error, WARREN_ECONFIG,
                         "the chain has other middlewares, or in another "
                         "order: that takes another test");
    subscriptions_reload(setup->open, now, &fixed);
    return fixed.count == 0 ? WARREN_OK
                            : error_set(error, WARREN_ECONFIG,
                                        "what has changed here needs a restart: %s", fixed.text);
}

void testing_setup_done(struct testing_setup *setup)
{
    chain_done(&setup->chain);
    chain_done(&setup->batches);
    chain_done(&setup->returned_publish);
    key_writer_stop(setup->store.key_writer);
    subscriptions_close(setup->open);
    testing_store_done(&setup->store);
    scratch_free(setup->scratch);
    for (size_t i = 0; i < setup->reload_count; i++)
        config_free(setup->reloaded[i]);
    free(setup->reloaded);
    worker_setup_done(&setup->worker);
}
