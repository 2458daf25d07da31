/* broker_rights.h - what its user must be allowed to do at the broker, so that the worker of a
 * configuration can do all that its file says.
 * Thread: any. Elsewhere: asking (amqp/topology/right_probe.h, broker_check.h).
 */
#ifndef WARREN_COMMAND_BROKER_RIGHTS_H
#define WARREN_COMMAND_BROKER_RIGHTS_H

#include "amqp/topology/right_probe.h"
#include "base/arena.h"
#include "config/config.h"

struct broker_right {
    struct right right;
    const char *why; /* "for dead letters of 'payments'"; stands behind what is refused */
};

struct broker_rights {
    struct broker_right *items; /* each once */
    size_t count;
    struct arena arena;
};

/**
 * All of them but those to declare what stands in the topology, which are found out by declaring.
 * What handlers publish by themselves is not known.
 *
 * @config  borrowed; after config_chains(), or what middlewares need is not in it
 * @return  WARREN_OK or WARREN_ENOMEM; broker_rights_done() in any case
 */
enum warren_status broker_rights_init(struct broker_rights *rights, const struct config *config);
/** A zeroed one is fine. */
void broker_rights_done(struct broker_rights *rights);

/** "consume from queue 'payments'", behind "may not"; cut where it is too long. */
void broker_right_text(const struct right *right, char *text, size_t size);

#endif
