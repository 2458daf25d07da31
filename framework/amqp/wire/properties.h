/* properties.h - basic properties and tables between the public structs and the wire.
 * The codec is rabbitmq-c's; what is decoded here must have passed content_header_read().
 * Thread: any.
 */
#ifndef WARREN_AMQP_PROPERTIES_H
#define WARREN_AMQP_PROPERTIES_H

#include <warren/message.h>

#include "base/arena.h"
#include "base/buffer.h"

#include "amqp/wire/rabbitmq_c.h"

/**
 * Decode a property list (flags and list). Every string and table is copied into @arena, which
 * knows the lengths of properties and names that hold a NUL: see arena_bytes().
 *
 * @return WARREN_OK, WARREN_EPROTOCOL, WARREN_ENOMEM; on failure @properties is all-absent
 */
enum warren_status properties_decode(struct warren_bytes encoded, struct arena *arena,
                                     struct warren_properties *properties);

/**
 * Append the property list of @properties to @out. Its texts end at their first NUL.
 *
 * @return WARREN_OK; WARREN_EINVAL (a string or a name over 255 bytes, a number outside of its
 *         type, nesting over WARREN_NESTING_MAX); WARREN_ETOOBIG (more than @max bytes);
 *         WARREN_ENOMEM; with @error
 */
enum warren_status properties_encode(const struct warren_properties *properties, size_t max,
                                     struct arena *scratch, struct buffer *out,
                                     struct warren_error *error);
/** The same; texts that @texts (or NULL) knows have the length that arena_bytes() tells. */
enum warren_status properties_encode_whole(const struct warren_properties *properties,
                                           const struct arena *texts, size_t max,
                                           struct arena *scratch, struct buffer *out,
                                           struct warren_error *error);

/** rabbitmq-c's form of @table, in @arena; strings are borrowed from @table. */
enum warren_status table_to_amqp(const struct warren_table *table, struct arena *arena,
                                 amqp_table_t *ret_table, struct warren_error *error);

/** The public form of rabbitmq-c's @table; everything copied into @arena. */
enum warren_status table_from_amqp(const amqp_table_t *table, struct arena *arena,
                                   struct warren_table *ret_table);

/** As warren_table_get(), by whole names: one that goes on behind a NUL is another name. */
const struct warren_value *table_get(const struct warren_table *table, const char *name,
                                     const struct arena *texts);

#endif
