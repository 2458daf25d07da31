/* topology_diff.h - what is wanted against what a broker has: what is to be declared, what is there
 * with other arguments, what is left over. Two models in, steps out; no I/O.
 *
 * Compared is what RabbitMQ compares when something is declared that exists: type, durable,
 * auto-delete, exclusive or internal, and the arguments that mean something to it; integers of all
 * sizes are equal. It takes the first difference for a reason to refuse; here all of them are told.
 *
 * A binding is ours if its destination is: a queue or an exchange that is wanted, and not passive.
 * One of ours that is not wanted is left over. Of a destination that others may declare, too
 * (`shared`), only bindings from exchanges that are wanted are ours. The bindings that every queue
 * has to the default exchange are nobody's.
 * Thread: any. Elsewhere: who asks the broker (command/topology/), who declares (topology.h).
 */
#ifndef WARREN_AMQP_TOPOLOGY_DIFF_H
#define WARREN_AMQP_TOPOLOGY_DIFF_H

#include "amqp/topology/declare.h"

enum topology_step_kind {
    TOPOLOGY_DECLARE,   /* it is not there */
    TOPOLOGY_DIFFERENT, /* it is there, and another: a declare would be refused */
    TOPOLOGY_REFUSED,   /* the broker said no, in `words`: made where only AMQP is asked */
    TOPOLOGY_ABSENT,    /* nobody declares what is missing: it is passive, or an end of a binding */
    TOPOLOGY_LEFT_OVER, /* a binding of ours that is not wanted; the item is the broker's */
    TOPOLOGY_AS_IT_IS,  /* a queue without the limit that warren adds: fine, and no change */
};

/** One thing that differs. */
struct topology_difference {
    const char *what;         /* as the file calls it: "durable", "x-max-length" */
    struct warren_value file; /* type 0: it has none */
    struct warren_value broker;
};

struct topology_step {
    enum topology_step_kind kind;
    struct declare_item item;
    const struct topology_difference *differences; /* of a DIFFERENT */
    size_t difference_count;
    struct declare_item missing; /* of an ABSENT binding: its end, of which the name alone is set */
    const char *words;           /* of a REFUSED, or of a DIFFERENT of which no more is known */
};

struct topology_steps {
    const struct topology_step *steps; /* as wanted: exchanges, queues, bindings; then left over */
    size_t count;
};

/** Two models, and what is to be known of the first. Borrowed; steps point into them. */
struct topology_pair {
    const struct config_topology *wanted; /* what only one connection may have (exclusive) is not
                                             in it */
    const struct config_topology *found;
    const char *const *shared; /* names of wanted queues that others may declare, too */
    size_t shared_count;
};

/** @return WARREN_OK or WARREN_ENOMEM; steps are in @arena */
enum warren_status topology_diff(const struct topology_pair *pair, struct arena *arena,
                                 struct topology_steps *ret);

/** How many steps are of @kind. */
size_t topology_steps_count(const struct topology_steps *steps, enum topology_step_kind kind);

/** Is @step something that is not as it should be? All but AS_IT_IS. */
bool topology_step_is_change(const struct topology_step *step);

#endif
