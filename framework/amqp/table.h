/* table.h - what the two files of properties.h share.
 * Elsewhere: table_to_amqp() and table_from_amqp() (properties.h).
 */
#ifndef WARREN_AMQP_TABLE_H
#define WARREN_AMQP_TABLE_H

#include <stddef.h>

#include "amqp/rabbitmq_c.h"

/** Bytes of @table on the wire, its own length included; SIZE_MAX if that is no size at all. */
size_t table_size(const amqp_table_t *table);

#endif
