/* registry.h - all plugins of a worker: their handlers and middlewares by the name
 * "PLUGIN.HANDLER" or "PLUGIN.MIDDLEWARE", warren's own middlewares by a name without a dot.
 * Thread: built by the main one, then read-only.
 */
#ifndef WARREN_PLUGIN_REGISTRY_H
#define WARREN_PLUGIN_REGISTRY_H

#include "plugin/descriptor.h"

struct registry;

/**
 * @builtin  warren's own middlewares, ended by NULL; borrowed. NULL: there are none
 * @return   NULL: no memory
 */
struct registry *registry_new(const struct warren_middleware *const *builtin);
/** Free all plugins: no handler and no middleware may be open. NULL is fine. */
void registry_free(struct registry *registry);

/**
 * Own @plugin from now on, also on failure.
 *
 * @return WARREN_OK; WARREN_EPLUGIN with @error: there is one of that name; WARREN_ENOMEM
 */
enum warren_status registry_add(struct registry *registry, struct plugin *plugin,
                                struct warren_error *error);

/**
 * The handler called @name, "PLUGIN.HANDLER". Lives as long as the registry.
 *
 * @return WARREN_OK; WARREN_ENOTFOUND with @error: the nearest name, or which there are
 */
enum warren_status registry_find(const struct registry *registry, const char *name,
                                 const struct warren_handler **ret_handler,
                                 struct warren_error *error);

/**
 * The middleware called @name, "retry" or "PLUGIN.MIDDLEWARE". Lives as long as the registry.
 *
 * @return as registry_find()
 */
enum warren_status registry_find_middleware(const struct registry *registry, const char *name,
                                            const struct warren_middleware **ret_middleware,
                                            struct warren_error *error);

/** What the plugin of "PLUGIN.HANDLER" or "PLUGIN.MIDDLEWARE" has for `open`; NULL: nothing. */
void *registry_user(const struct registry *registry, const char *name);

/** The plugins in the order of adding. */
size_t registry_count(const struct registry *registry);
struct plugin *registry_plugin(const struct registry *registry, size_t index);

#endif
