/* properties.h - basic properties and tables between the public structs and the wire.
 * The codec is rabbitmq-c's; what is decoded here must have passed content_header_read() or
 * properties_check().
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
 * Append the property list of @properties to @out.
 *
 * @texts   whose texts have the length that arena_bytes() tells; NULL: each ends at its first NUL
 * @return  WARREN_OK; WARREN_EINVAL (a string or a name over 255 bytes, a number outside of its
 *          type, nesting over WARREN_NESTING_MAX); WARREN_ETOOBIG (more than @max bytes);
 *          WARREN_ENOMEM; with @error
 */
enum warren_status properties_encode(const struct warren_properties *properties,
                                     const struct arena *texts, size_t max, struct arena *scratch,
                                     struct buffer *out, struct warren_error *error);

/** rabbitmq-c's form of @table, in @arena; strings are borrowed from @table. @texts: see above. */
enum warren_status table_to_amqp(const struct warren_table *table, const struct arena *texts,
                                 struct arena *arena, amqp_table_t *ret_table,
                                 struct warren_error *error);

/** The first entry @name of @table, or NULL. */
amqp_table_entry_t *table_entry(const amqp_table_t *table, const char *name);

/* Bytes on the wire, of values that can be encoded; SIZE_MAX if that is no size at all. */

/** Of @table, its own length included. */
size_t table_size(const struct warren_table *table, const struct arena *texts);
/** Of one field of a table. */
size_t field_size(const struct warren_field *field, const struct arena *texts);
/** Of the properties that are texts. */
size_t properties_texts_size(const struct warren_properties *properties, const struct arena *texts);

/** The public form of rabbitmq-c's @table; everything copied into @arena. */
enum warren_status table_from_amqp(const amqp_table_t *table, struct arena *arena,
                                   struct warren_table *ret_table);

/** As warren_table_get(), by whole names: one that goes on behind a NUL is another name. */
const struct warren_value *table_get(const struct warren_table *table, const char *name,
                                     const struct arena *texts);

#endif
