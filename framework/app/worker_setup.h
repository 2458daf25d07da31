/* worker_setup.h - from a configuration to handlers and middlewares that can be opened: what
 * `warren run` begins with and `warren check` ends with. Nothing runs and nothing is connected.
 * Thread: main.
 */
#ifndef WARREN_APP_WORKER_SETUP_H
#define WARREN_APP_WORKER_SETUP_H

#include <warren/worker.h>

#include "app/plugin_trial.h"
#include "config/config.h"
#include "plugin/registry.h"

/** One subscription with the handler that the registry has for it. */
struct setup_subscription {
    const struct config_subscription *config;
    const struct warren_handler *handler;
    const struct warren_options *options;
};

struct sqlite3;

/** All zero: empty. Everything but scratch is owned by the struct. */
struct worker_setup {
    struct config *config;
    struct registry *registry;
    struct setup_subscription *subscriptions; /* as many as the configuration has */
    struct sqlite3
        *scratch; /* for transactional handlers, in place of the store; NULL: the store */
};

/**
 * Read the configuration, check the sections broker and admin, load the plugins, find every handler
 * and middleware, check their options.
 *
 * @return WARREN_OK; WARREN_ECONFIG, WARREN_EPLUGIN, WARREN_EINVAL or WARREN_ENOMEM with @error;
 *         worker_setup_done() in any case
 */
enum warren_status worker_setup_init(struct worker_setup *setup,
                                     const struct warren_worker_options *options,
                                     struct warren_error *error);
/** What is there when a configuration is read again. All borrowed. */
struct setup_running {
    const struct worker_setup *setup;
    unsigned number;                  /* another one for each time, and not 0 */
    const struct plugin_trial *trial; /* of all that are to be loaded, first; NULL: there is none */
};
/**
 * worker_setup_init() while @running is: its plugins are not loaded again, but for those that have
 * another file at their path; others are loaded until worker_setup_done().
 *
 * @return  as worker_setup_init(); WARREN_EPLUGIN also: the file of a plugin was overwritten; and
 *          as plugin_try()
 */
enum warren_status worker_setup_again(struct worker_setup *setup,
                                      const struct warren_worker_options *options,
                                      const struct setup_running *running,
                                      struct warren_error *error);
/**
 * Load the plugin that the configuration lists as number @index; an error says where it does.
 *
 * @return as plugin_load()
 */
enum warren_status worker_setup_load(const struct config *config, size_t index,
                                     struct plugin **ret_plugin, struct warren_error *error);
/**
 * Complete the chains of @config with the middlewares that @registry knows; see config_chains().
 *
 * @return WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error
 */
enum warren_status worker_setup_chains(const struct registry *registry, struct config *config,
                                       struct warren_error *error);
/** What is in force where an option says -1, for config_write_effective(); nothing runs after it.
 */
void worker_setup_show(const struct worker_setup *setup);
/** No handler and no middleware may be open. */
void worker_setup_done(struct worker_setup *setup);

#endif
