/* declared.h - what is declared besides what is written: where the dead letters of each
 * subscription go, and no limit of deliveries for quorum queues.
 *
 * From RabbitMQ 4.0 on a quorum queue gives a message up at its 21st delivery, and counts as one
 * what a restart, a hand-back or a crash of a neighbour does to a message that was only prefetched.
 * warren counts what the message itself did (consume/relay/history.h,
 * consume/crash/flight_recorder.h). Thread: none of its own. Elsewhere: publishing dead letters
 * (consume/relay/relay.h), queues that exist without the limit (amqp/topology/topology.h).
 */
#ifndef WARREN_CONFIG_DECLARED_H
#define WARREN_CONFIG_DECLARED_H

#include "config/options.h"

/**
 * Name the dead-letter exchange and queue of each subscription, and complete @config->topology: an
 * exchange, a queue and a binding for each consumed queue, and arguments for those consumed queues
 * that are written. Each quorum queue without an x-delivery-limit gets one that is never reached,
 * as its last argument. Call it when all else is read.
 *
 * @return WARREN_OK; WARREN_ECONFIG: a name that is empty, too long, or leads back to a consumed
 *         queue; WARREN_ENOMEM
 */
enum warren_status config_declared(struct config_scope *scope, struct config_private *config);

#endif
