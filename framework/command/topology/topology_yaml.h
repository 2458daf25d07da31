/* topology_yaml.h - a topology as YAML that the configuration reads back.
 * Thread: any.
 */
#ifndef WARREN_COMMAND_TOPOLOGY_YAML_H
#define WARREN_COMMAND_TOPOLOGY_YAML_H

#include <stdio.h>

#include "amqp/topology/topology_index.h"

/** A text in quotes; what YAML does not take as it is, escaped. */
void topology_yaml_text(FILE *out, const char *text, size_t len);
/** A value of an argument, in flow style: 5, true, "text", [1, 2], {"a": null}. */
void topology_yaml_value(FILE *out, const struct warren_value *value);

/** What topology_yaml_write() left out. */
struct topology_yaml_left_out {
    size_t amq;   /* exchanges and queues whose names are the broker's own: amq.* */
    size_t delay; /* exchanges and queues of the delay queues, which warren declares by itself */
    size_t exclusive; /* queues of one connection */
    size_t unknown;   /* exchanges and queues of a type that the file does not know */
};

/**
 * Write "topology:" with everything of @topology that a file can declare. What is of an unknown
 * type is named in a comment.
 *
 * @arena  for what is only needed meanwhile
 * @return false: no memory
 */
bool topology_yaml_write(FILE *out, const struct config_topology *topology, struct arena *arena,
                         struct topology_yaml_left_out *ret);

#endif
