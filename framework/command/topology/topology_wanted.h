/* topology_wanted.h - what is to be there for the worker of a configuration: what the file
 * declares, what warren adds to it (dead letters), and of the delay queues those that are there:
 * warren declares the others when a message first needs them.
 *
 * Left out is what only a running worker can have: exclusive queues and their bindings.
 * Thread: any. Elsewhere: what is added (config/declared.c), the comparison
 * (amqp/topology/topology_diff.h).
 */
#ifndef WARREN_COMMAND_TOPOLOGY_WANTED_H
#define WARREN_COMMAND_TOPOLOGY_WANTED_H

#include "base/arena.h"
#include "config/config.h"

struct topology_wanted {
    struct config_topology topology;
    const char *const *shared; /* see topology_diff.h: dead-letter queues of more than one queue */
    size_t shared_count;
    size_t exclusive;    /* queues that were left out */
    size_t delay_queues; /* of the delay queues, that are there */
};

/**
 * @found  what the broker has; all zero: it is not known
 * @return WARREN_OK or WARREN_ENOMEM; in @arena, borrowing from @config
 */
enum warren_status topology_wanted(const struct config *config, const struct config_topology *found,
                                   struct arena *arena, struct topology_wanted *ret);

/** Whether that is a name of warren's delay queues and their exchanges. */
bool topology_is_delay(const char *name);

#endif
