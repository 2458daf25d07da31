/* topology_text_private.h - an item of the topology in words, with what we ask the broker for.
 * Thread: any.
 */
#ifndef WARREN_AMQP_TOPOLOGY_TEXT_PRIVATE_H
#define WARREN_AMQP_TOPOLOGY_TEXT_PRIVATE_H

#include "config/config.h"

/** Long enough for two names and some arguments; a longer text is cut. */
#define TOPOLOGY_TEXT_MAX 768

/** "exchange 'orders' (topic, durable)" */
void topology_text_exchange(const struct config_exchange *exchange, char *text, size_t size);
/** "queue 'payments' (quorum, durable, x-max-length=100)", without a limit that nobody wrote */
void topology_text_queue(const struct config_queue *queue, char *text, size_t size);
/** "binding of queue 'payments' to exchange 'orders' with key 'paid'" */
void topology_text_binding(const struct config_binding *binding, char *text, size_t size);

#endif
