/* items.h - the lists of the file whose items are rows of options.def: exchanges, queues, bindings,
 * subscriptions. What is not given of an item is inherited: after config_options_finish().
 * Thread: none of its own. Elsewhere: the options of a handler (handler_options.c), what else is
 * declared (declared.h), and declaring it (amqp/topology/topology.h).
 */
#ifndef WARREN_CONFIG_ITEMS_H
#define WARREN_CONFIG_ITEMS_H

#include "config/options.h"

/** The `subscriptions:` list: which queue goes to which handler. @node may be NULL: none. */
enum warren_status config_subscriptions_read(struct config_scope *scope,
                                             struct config_private *private,
                                             const struct config_node *node);

/**
 * The `topology:` mapping. @node may be NULL: nothing is written. After the subscriptions: there is
 * room for theirs.
 */
enum warren_status config_topology_read(struct config_scope *scope, struct config_private *private,
                                        const struct config_node *node);

#endif
