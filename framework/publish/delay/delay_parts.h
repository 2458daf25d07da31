/* delay_parts.h - the exchanges, queues and bindings of the delay queues, as they are declared.
 * No I/O. Thread: any. Elsewhere: when they are (delay_topology.h), what a broker has of them
 * (command/topology/).
 */
#ifndef WARREN_PUBLISH_DELAY_PARTS_H
#define WARREN_PUBLISH_DELAY_PARTS_H

#include "config/config.h"
#include "publish/delay/delay.h"

#define DELAY_PART_FIELDS 5

/** One part: an exchange or a queue, and its binding. It points into itself: not to be copied. */
struct delay_part {
    struct config_exchange exchange; /* its name is NULL: there is none */
    struct config_queue queue;       /* the same */
    struct config_binding binding;   /* its source is NULL: there is none */
    struct warren_field fields[DELAY_PART_FIELDS];
    struct warren_field header;
    char name[DELAY_NAME_SIZE];
    char below[DELAY_NAME_SIZE];
    char destination[DELAY_NAME_SIZE];
};

/** The exchange below level 00. */
void delay_part_deliver(struct delay_part *part);
/** The exchange of @level, and its binding to the one below. */
void delay_part_exchange(unsigned level, struct delay_part *part);
/** The queue of @level, and its binding. */
void delay_part_queue(unsigned level, struct delay_part *part);
/** The departure queue of the destination of @delay, and its binding. */
void delay_part_departure(const struct delay *delay, struct delay_part *part);

#endif
