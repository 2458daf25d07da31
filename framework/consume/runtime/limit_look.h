/* limit_look.h - has a queue that is consumed, and that this worker did not declare as it wanted, a
 * limit of deliveries? Each is asked about once, one after the other, when it is first consumed.
 * Thread: the loop's. Owner: the runtime embeds one.
 */
#ifndef WARREN_CONSUME_LIMIT_LOOK_H
#define WARREN_CONSUME_LIMIT_LOOK_H

#include "amqp/topology/limit_probe.h"
#include "amqp/topology/topology.h"

struct limit_look_queue {
    const char *name; /* borrowed */
    bool is_stream;
};

struct limit_look {
    struct limit_probe probe;
    const struct topology *topology;
    struct connection *connection;
    struct limit_look_queue *queues;
    size_t count;
    size_t next; /* to be asked about */
    /** @queue gives up what it took back so often. */
    void (*limited)(void *user, const char *queue, int64_t limit);
    void *user;
};

/** @queues is malloc'ed, and the look's from now on; @limited may be NULL. */
void limit_look_init(struct limit_look *look, struct connection *connection,
                     const struct topology *topology, struct limit_look_queue *queues, size_t count,
                     void (*limited)(void *user, const char *queue, int64_t limit), void *user);
/** The topology is declared: look, or go on. Harmless to repeat. */
void limit_look_go_on(struct limit_look *look);
/** A zeroed look is fine. */
void limit_look_done(struct limit_look *look);

#endif
