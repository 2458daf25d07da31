/* topology.h - declare exchanges, queues and bindings, in that order, on a channel of its own.
 *
 * A refusal (406 inequivalent arguments, 403, 404 of a passive one) closes the channel: it is
 * reported, and the rest is declared at once on the next channel. An item that was refused is
 * reported once and not tried again on this connection; after a reconnect it is tried again, and
 * reported again only if the broker's words changed. An item over which the broker closes the
 * connection (an unknown exchange type) is reported and never tried again. One that the broker does
 * not answer within rpc_timeout is reported as refused, and tried again in the next round. A queue
 * that exists without the limit of deliveries that was added to it (config/declared.c) is taken as
 * it is.
 * Thread: the loop's. Owner: the consumer runtime, `warren check --connect`.
 */
#ifndef WARREN_AMQP_TOPOLOGY_H
#define WARREN_AMQP_TOPOLOGY_H

#include "amqp/connection/channel.h"
#include "config/config.h"

struct topology;

struct topology_events {
    /** One item was refused: what we asked for and what the broker said, in one sentence. */
    void (*refused)(void *user, const char *item, uint16_t code, const char *text);
    /** All items of this round were tried, @refused of them were refused. Not after a lost round.
     */
    void (*done)(void *user, uint32_t refused);
};

/** @config is borrowed until topology_free(). */
enum warren_status topology_new(struct connection *connection, const struct config_topology *config,
                                const struct topology_events *events, void *user,
                                struct topology **ret_topology);
/** Declare everything; called when the connection is OPEN. A round that was lost is forgotten. */
void topology_declare(struct topology *topology);
/** How many items of the round that runs were answered, and how many there are. */
void topology_progress(const struct topology *topology, size_t *ret_done, size_t *ret_total);
/** The last round had items that the broker did not answer. */
bool topology_is_late(const struct topology *topology);
/** The broker has @queue as it is configured, all arguments included; false also if it is not in
 * the topology, or passive. */
bool topology_declares(const struct topology *topology, const char *queue);
/** NULL is fine. */
void topology_free(struct topology *topology);

#endif
