/* instance.h - a handler opened for one subscription. Thread: the main one. */
#ifndef WARREN_PLUGIN_INSTANCE_H
#define WARREN_PLUGIN_INSTANCE_H

#include <warren/handler.h>

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

#endif
