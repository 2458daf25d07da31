/* topology_apply.h - declare a topology at a broker, once, and leave again.
 * Thread: main; runs a loop of its own and returns when it ended.
 */
#ifndef WARREN_COMMAND_TOPOLOGY_APPLY_H
#define WARREN_COMMAND_TOPOLOGY_APPLY_H

#include <warren/status.h>

#include "config/config.h"

/** One item was refused: its text as declare_text() makes it, and what the broker said. */
typedef void topology_refused_fn(void *user, const char *item, uint16_t code, const char *text);

/**
 * Declare all of @topology; what is refused does not hold up the rest.
 *
 * @config  how to connect
 * @return  WARREN_OK: each was declared or refused; WARREN_EBROKER (credentials or vhost refused),
 *          WARREN_EIO (no connection, or it was lost), WARREN_ETIMEOUT, WARREN_ECONFIG,
 *          WARREN_ENOMEM with @error: some may be declared
 */
enum warren_status topology_apply(const struct config *config,
                                  const struct config_topology *topology,
                                  topology_refused_fn *refused, void *user,
                                  struct warren_error *error);

#endif
