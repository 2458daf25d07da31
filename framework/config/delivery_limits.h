/* delivery_limits.h - no limit of deliveries for quorum queues that this worker declares.
 *
 * From RabbitMQ 4.0 on a quorum queue gives a message up at its 21st delivery, and counts as one
 * what a restart, a hand-back or a crash of a neighbour does to a message that was only prefetched.
 * warren counts what the message itself did (consume/relay/history.h,
 * consume/crash/flight_recorder.h). Thread: none of its own. Elsewhere: queues that exist without
 * the argument (amqp/topology/topology.h).
 */
#ifndef WARREN_CONFIG_DELIVERY_LIMITS_H
#define WARREN_CONFIG_DELIVERY_LIMITS_H

#include "config/options.h"

/**
 * Give each declared quorum queue that has no x-delivery-limit one that is never reached, as its
 * last argument. Call it when @config->declared is complete otherwise.
 *
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status config_delivery_limits(struct config_scope *scope,
                                          struct config_private *config);

#endif
