/* management_items.h - what RabbitMQ's management API answers, as a topology. It comes from
 * outside: nothing of it is taken before its type and its size are proven. No I/O. Thread: any.
 * Elsewhere: who asks (management.h).
 */
#ifndef WARREN_COMMAND_MANAGEMENT_ITEMS_H
#define WARREN_COMMAND_MANAGEMENT_ITEMS_H

#include "base/arena.h"
#include "config/config.h"

/** Items of one list, and fields of one table; an answer with more is refused. */
#define MANAGEMENT_ITEMS_MAX  1000000
#define MANAGEMENT_FIELDS_MAX 1024

/** What a virtual host has. */
struct management_topology {
    struct config_topology topology; /* without the default exchange and the bindings to it */
    const char *const *binding_keys; /* by which the API knows each of its bindings */
    size_t skipped; /* items that no file can have: with a NUL in a name or a text of theirs, or an
                       argument without a name */
};

/**
 * Read the body of one answer, a list of exchanges, queues or bindings, into @ret: the members of
 * that list are set. Everything is copied into @arena.
 *
 * @return WARREN_OK; WARREN_EPROTOCOL with @error: it is no such list, and where; WARREN_ENOMEM
 */
enum warren_status management_read_exchanges(const char *body, size_t len, struct arena *arena,
                                             struct management_topology *ret,
                                             struct warren_error *error);
enum warren_status management_read_queues(const char *body, size_t len, struct arena *arena,
                                          struct management_topology *ret,
                                          struct warren_error *error);
enum warren_status management_read_bindings(const char *body, size_t len, struct arena *arena,
                                            struct management_topology *ret,
                                            struct warren_error *error);

#endif
