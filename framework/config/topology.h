/* topology.h - the `topology:` mapping: exchanges, queues and bindings.
 * Thread: none of its own. Elsewhere: declaring them (amqp/topology/topology.h).
 */
#ifndef WARREN_CONFIG_TOPOLOGY_H
#define WARREN_CONFIG_TOPOLOGY_H

#include "config/config.h"
#include "config/node.h"

/** What may be written, for the parser and for the reference page. */
extern const struct warren_option config_exchange_table[];
extern const struct warren_option config_queue_table[];
extern const struct warren_option config_binding_table[];

/** @node may be NULL: nothing is declared. */
enum warren_status config_topology_read(struct config_scope *scope, const struct config_node *node,
                                        struct config_topology *topology);

#endif
