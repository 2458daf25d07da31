/* topology.h - the `topology:` mapping: exchanges, queues and bindings.
 * Thread: none of its own. Elsewhere: what else is declared (declared.h), and declaring it
 * (amqp/topology/topology.h).
 */
#ifndef WARREN_CONFIG_TOPOLOGY_H
#define WARREN_CONFIG_TOPOLOGY_H

#include "config/options.h"

/** @node may be NULL: nothing is written. After the subscriptions: there is room for theirs. */
enum warren_status config_topology_read(struct config_scope *scope, struct config_private *private,
                                        const struct config_node *node);

#endif
