/* instance.h - a handler, and a middleware, opened for one subscription. Thread: the main one. */
#ifndef WARREN_PLUGIN_INSTANCE_H
#define WARREN_PLUGIN_INSTANCE_H

#include <warren/middleware.h>

/** All zero: not open. */
struct instance {
    const struct warren_handler *handler;
    void *state; /* for `handle` */
    bool is_open;
};

/**
 * Run the handler's `open`, if it has one. @info must live until instance_close().
 *
 * @return WARREN_OK; WARREN_EPLUGIN with @error: queue, handler, and what `open` said
 */
enum warren_status instance_open(struct instance *instance, const struct warren_handler *handler,
                                 const struct warren_subscription_info *info,
                                 struct warren_error *error);
/** Run `close`; harmless to repeat, and if it was never open. */
void instance_close(struct instance *instance);
/** Run `reopen`, if there is one: SIGHUP. */
void instance_reopen(const struct instance *instance);

/* ---- middlewares ---- */

/** All zero: not open. */
struct middleware_instance {
    const struct warren_middleware *middleware;
    void *state; /* for all its functions */
    bool is_open;
};

/**
 * Run `check`, if it has one.
 *
 * @return WARREN_OK; WARREN_ECONFIG with @error as below
 */
enum warren_status middleware_check(const struct warren_middleware *middleware, const char *name,
                                    const char *queue, const struct warren_options *options,
                                    struct warren_error *error);
/**
 * Run `check`, and then `open`, if it has them. @info must live until middleware_close().
 *
 * @name    as the YAML has it, for messages
 * @return  WARREN_OK; WARREN_ECONFIG if `open` returned that, else WARREN_EPLUGIN, with @error:
 *          queue, middleware, and what `open` said
 */
enum warren_status middleware_open(struct middleware_instance *instance,
                                   const struct warren_middleware *middleware, const char *name,
                                   const struct warren_subscription_info *info,
                                   struct warren_error *error);
/** Run `close`; harmless to repeat, and if it was never open. */
void middleware_close(struct middleware_instance *instance);
/** Does a change of @option need a restart? */
bool middleware_is_fixed(const struct warren_middleware *middleware, const char *option);
#endif
