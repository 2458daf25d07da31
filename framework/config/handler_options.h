/* handler_options.h - the options of a handler or a middleware, checked against its own table, and
 * the public functions by which it reads them.
 * Thread: built by one, then read-only.
 */
#ifndef WARREN_CONFIG_HANDLER_OPTIONS_H
#define WARREN_CONFIG_HANDLER_OPTIONS_H

#include "config/value.h"

/** Whose options they are, for messages. */
struct config_owner {
    const char *kind; /* "handler" or "middleware" */
    const char *name; /* "log.write" */
};

struct warren_options {
    const struct warren_option *table; /* the plugin's; it stays loaded until after close */
    size_t count;
    struct config_owner owner;
    struct config_value *values;
};

/**
 * @node         the mapping as written; empty is fine
 * @table        NULL: takes none
 * @ret_options  in the arena
 * @return       WARREN_OK, WARREN_ECONFIG or WARREN_ENOMEM
 */
enum warren_status config_owner_options(struct config_scope *scope,
                                        const struct config_owner *owner,
                                        const struct config_node *node,
                                        const struct warren_option *table,
                                        const struct warren_options **ret_options);

#endif
