/* arguments.h - a YAML mapping of any shape as an AMQP field table, for `arguments:`.
 * Without quotes: true and false are booleans, whole numbers i64, numbers with a point or an
 * exponent f64, nothing or null void; all else, and all in quotes, is a string. Lists become
 * arrays, mappings tables.
 * Thread: none of its own.
 */
#ifndef WARREN_CONFIG_ARGUMENTS_H
#define WARREN_CONFIG_ARGUMENTS_H

#include <warren/message.h>

#include "config/node.h"

/** @node may be NULL: an empty table. The table lives in @scope->arena. */
enum warren_status config_arguments_read(struct config_scope *scope, const struct config_node *node,
                                         struct warren_table *table);

#endif
