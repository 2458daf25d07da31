/* property_spans.h - where things stand in a property list that is still as it was on the wire.
 * Nothing is decoded, copied or allocated. Thread: any; async-signal-safe.
 * Elsewhere: decoding (properties.h), proving that a list is sound (content.c).
 */
#ifndef WARREN_AMQP_PROPERTY_SPANS_H
#define WARREN_AMQP_PROPERTY_SPANS_H

#include <warren/message.h>

#include "amqp/wire/basic_property.h"
#include "base/field_type.h"

/** Parts of the list, borrowed from it. What is absent has the length 0, or is 0. */
struct property_spans {
    struct warren_bytes message_id;
    uint64_t timestamp;                 /* seconds since 1970; 0: absent */
    struct warren_bytes headers;        /* the fields of the table, without its length */
    struct warren_bytes before_headers; /* content-type and content-encoding */
    struct warren_bytes after_headers;  /* all others, message-id included */
};

/**
 * Find the parts of @encoded, a list that content_header_read() has passed. One that is not sound
 * is read as far as it is.
 */
void property_spans_find(struct warren_bytes encoded, struct property_spans *spans);
/** The timestamp alone; 0: absent. Where it is absent nothing is walked through. */
uint64_t property_spans_timestamp(struct warren_bytes encoded);

/**
 * Find the first header @name in @headers.
 *
 * @ret_type   how @ret_value is encoded
 * @ret_value  of a text the bytes without their length
 * @return     false: there is none
 */
bool property_spans_header(struct warren_bytes headers, const char *name,
                           enum warren_type *ret_type, struct warren_bytes *ret_value);

/** The header @name as a number, if it is one that is not negative; else @otherwise. */
uint64_t property_spans_count(struct warren_bytes headers, const char *name, uint64_t otherwise);

/** Bytes of @property at @at, where a list has @left bytes; more than @left: it reaches over them.
 */
size_t encoded_property_size(const struct basic_property *property, const uint8_t *at, size_t left);
/** The same of a value of @type, behind its letter. */
size_t encoded_value_size(const struct field_type *type, const uint8_t *at, size_t left);

#endif
