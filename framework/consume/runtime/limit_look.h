/* limit_look.h - has a queue that is consumed, and that this worker did not declare as it wanted, a
 * limit of deliveries? Each is asked about once, one after the other, when it is first consumed;
 * what is found is the event `limited`.
 * Thread: the loop's. Owner: the runtime embeds one.
 */
#ifndef WARREN_CONSUME_LIMIT_LOOK_H
#define WARREN_CONSUME_LIMIT_LOOK_H

#include "amqp/topology/limit_probe.h"

struct runtime;

/** All zero at first; limit_probe_done() ends it. */
struct limit_look {
    struct limit_probe probe;
    size_t next; /* subscription to be asked about */
};

/** The topology is declared: look, or go on. Harmless to repeat. */
void limit_look_go_on(struct runtime *runtime);

#endif
