/* dead_letters.h - where the dead letters of each subscription go, and what has to be declared for
 * that besides the topology as written.
 * Thread: none of its own. Elsewhere: publishing them (consume/relay/relay.h).
 */
#ifndef WARREN_CONFIG_DEAD_LETTERS_H
#define WARREN_CONFIG_DEAD_LETTERS_H

#include "config/options.h"

/**
 * Name the dead-letter exchange and queue of each subscription, and write @config->declared: the
 * topology, with an exchange, a queue and a binding for each consumed queue, and with arguments for
 * those consumed queues that stand in the topology. Call it when all else is read.
 *
 * @return WARREN_OK; WARREN_ECONFIG: a name that is empty, too long, or leads back to a consumed
 *         queue; WARREN_ENOMEM
 */
enum warren_status config_dead_letters(struct config_scope *scope, struct config_private *config);

#endif
