/* management.h - RabbitMQ's management API: what a virtual host has, with what AMQP tells nobody
 * (arguments, bindings), and the removal of a binding.
 * Each request blocks. Bounds: MANAGEMENT_ANSWER_MAX bytes and the time-out of the settings each.
 * Thread: one at a time. Elsewhere: what an answer must look like (management_items.h).
 */
#ifndef WARREN_COMMAND_MANAGEMENT_H
#define WARREN_COMMAND_MANAGEMENT_H

#include "app/settings.h"
#include "command/topology/management_items.h"

/** Bytes of an answer. */
#define MANAGEMENT_ANSWER_MAX ((size_t)32 << 20)

struct management;

/** WARREN_OK, or as http_client_new(). @settings: copied, but for the names of files. */
enum warren_status management_new(const struct settings_management *settings,
                                  struct management **ret, struct warren_error *error);
/** NULL is fine. Wipes the password. */
void management_free(struct management *management);

/** "http://host:15672", for people. */
const char *management_where(const struct management *management);

/**
 * Everything that the virtual host has; in @arena.
 *
 * @return WARREN_OK; WARREN_EIO, WARREN_ETIMEOUT: not reached; WARREN_ECONFIG: what answers is
 *         no HTTP, such as the port of AMQP; WARREN_EBROKER: it refuses, such as
 *         a user without the tag management; WARREN_EFULL, WARREN_EPROTOCOL: the answer is too long
 *         or malformed; WARREN_ENOMEM; with @error
 */
enum warren_status management_read(struct management *management, struct arena *arena,
                                   struct management_topology *ret, struct warren_error *error);

/**
 * Remove @binding, which the API knows by @key.
 *
 * @return WARREN_OK, also if it is gone already; else as above
 */
enum warren_status management_unbind(struct management *management,
                                     const struct config_binding *binding, const char *key,
                                     struct warren_error *error);

#endif
