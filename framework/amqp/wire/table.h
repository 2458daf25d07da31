/* table.h - what the two files of properties.h share.
 * Elsewhere: table_to_amqp() and table_from_amqp() (properties.h).
 */
#ifndef WARREN_AMQP_TABLE_H
#define WARREN_AMQP_TABLE_H

#include <stddef.h>

#include <warren/message.h>

#include "base/arena.h"

#include "amqp/wire/rabbitmq_c.h"

/** As table_to_amqp(); names that @texts (or NULL) knows have the length that it tells. */
enum warren_status table_to_amqp_whole(const struct warren_table *table, const struct arena *texts,
                                       struct arena *arena, amqp_table_t *ret_table,
                                       struct warren_error *error);

/** Bytes of @table on the wire, its own length included; SIZE_MAX if that is no size at all. */
size_t table_size(const amqp_table_t *table);

#endif
