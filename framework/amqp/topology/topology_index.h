/* topology_index.h - the items of a topology by name, so that a broker with many is no trouble.
 * Thread: any.
 */
#ifndef WARREN_AMQP_TOPOLOGY_INDEX_H
#define WARREN_AMQP_TOPOLOGY_INDEX_H

#include "base/arena.h"
#include "config/config.h"

struct topology_index {
    const struct config_exchange **exchanges; /* in order */
    const struct config_queue **queues;
    const struct config_binding **bindings;
    const struct config_topology *topology; /* borrowed */
};

/** @return false: no memory */
bool topology_index_make(struct topology_index *index, const struct config_topology *topology,
                         struct arena *arena);
/** The item @name, or NULL. */
const struct config_exchange *topology_index_exchange(const struct topology_index *index,
                                                      const char *name);
const struct config_queue *topology_index_queue(const struct topology_index *index,
                                                const char *name);
/** Whether there is a binding of the same ends, key and arguments. */
bool topology_index_has(const struct topology_index *index, const struct config_binding *binding);

#endif
