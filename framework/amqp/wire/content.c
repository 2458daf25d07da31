/* content.c - proves property lists and tables before rabbitmq-c's codec sees them: 0.11 recurses
 * without a bound, and an element of an array may reach over the array's end there.
 */
#include "amqp/wire/frame.h"

#include "amqp/wire/property_spans.h"
#include "amqp/wire/rabbitmq_c.h"
#include "amqp/wire/wire.h"

/* The bytes that were not looked at yet. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* Bits 1 and 0 name no property of class basic; bit 0 would announce a second word of flags. */
#define UNKNOWN_FLAGS 3u

static enum warren_status broken(const char **ret_why, const char *why)
{
    *ret_why = why;
    return WARREN_EPROTOCOL;
}

static size_t left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool skip(struct cursor *cursor, size_t len)
{
    if (left(cursor) < len)
        return false;
    cursor->at += len;
    return true;
}

static bool skip_short_string(struct cursor *cursor)
{
    return cursor->at < cursor->end && skip(cursor, (size_t)1 + cursor->at[0]);
}

/* Skip what a 4-byte length announces, and give it as a cursor of its own. */
static bool take_long(struct cursor *cursor, struct cursor *content)
{
    uint32_t len;

    if (left(cursor) < sizeof len)
        return false;
    len = wire_get_u32(cursor->at);
    cursor->at += sizeof len;
    content->at = cursor->at;
    if (!skip(cursor, len))
        return false;
    content->end = cursor->at;
    return true;
}

static enum warren_status check_fields(struct cursor *cursor, bool named, unsigned depth,
                                       const char **ret_why);

/* An array or a table inside of another; @depth counts from 1, the outermost table. */
static enum warren_status check_nested(struct cursor *cursor, bool named, unsigned depth,
                                       const char **ret_why)
{
    struct cursor content;

    if (depth > WARREN_NESTING_MAX) {
        *ret_why = "tables or arrays are nested too deeply";
        return WARREN_ETOOBIG;
    }
    if (!take_long(cursor, &content))
        return broken(ret_why, "a table or an array reaches over its end");
    return check_fields(&content, named, depth, ret_why);
}

static enum warren_status check_value(struct cursor *cursor, unsigned depth, const char **ret_why)
{
    const struct field_type *type;

    if (cursor->at == cursor->end)
        return broken(ret_why, "a field has no value");
    type = field_type_of_letter(*cursor->at++);
    if (!type)
        return broken(ret_why, "a field has an unknown type");
    if (type->form == FIELD_ARRAY || type->form == FIELD_TABLE)
        return check_nested(cursor, type->form == FIELD_TABLE, depth + 1, ret_why);
    if (!skip(cursor, encoded_value_size(type, cursor->at, left(cursor))))
        return broken(ret_why, "a field's value reaches over the table's end");
    return WARREN_OK;
}

/* All of @cursor: fields of a table (@named), or values of an array. */
static enum warren_status check_fields(struct cursor *cursor, bool named, unsigned depth,
                                       const char **ret_why)
{
    while (cursor->at < cursor->end) {
        enum warren_status status;

        if (named && !skip_short_string(cursor))
            return broken(ret_why, "a field's name reaches over the table's end");
        status = check_value(cursor, depth, ret_why);
        if (status != WARREN_OK)
            return status;
    }
    return WARREN_OK;
}

static enum warren_status
check_property(struct cursor *cursor, const struct basic_property *property, const char **ret_why)
{
    if (property->form == PROPERTY_HEADERS)
        return check_nested(cursor, true, 1, ret_why);
    if (!skip(cursor, encoded_property_size(property, cursor->at, left(cursor))))
        return broken(ret_why, "a property reaches over the end of its list");
    return WARREN_OK;
}

enum warren_status properties_check(struct warren_bytes encoded, const char **ret_why)
{
    const uint8_t *data = encoded.data;
    struct cursor cursor;
    unsigned flags;

    if (encoded.len < sizeof(uint16_t))
        return broken(ret_why, "a property list is too short");
    cursor = (struct cursor){data + sizeof(uint16_t), data + encoded.len};
    flags = wire_get_u16(data);
    if (flags & UNKNOWN_FLAGS)
        return broken(ret_why, "a content header has unknown property flags");
    while (flags) {
        size_t i = basic_property_first(flags);
        enum warren_status status = check_property(&cursor, &basic_properties[i], ret_why);

        if (status != WARREN_OK)
            return status;
        flags &= ~basic_property_flag(i);
    }
    if (cursor.at != cursor.end)
        return broken(ret_why, "bytes are left over behind a property list");
    return WARREN_OK;
}

enum warren_status content_header_read(struct warren_bytes payload, bool skipped,
                                       struct content_header *header, const char **ret_why)
{
    const uint8_t *data = payload.data;
    enum warren_status status;

    if (payload.len < (skipped ? HEADER_FIXED : HEADER_FIXED + 2))
        return broken(ret_why, "a content header is too short");
    if (wire_get_u16(data + 2) != 0)
        return broken(ret_why, "a content header has a weight");
    header->class_id = wire_get_u16(data);
    header->body_size = wire_get_u64(data + 4);
    header->properties.data = data + HEADER_FIXED;
    header->properties.len = payload.len - HEADER_FIXED;
    if (header->class_id != AMQP_BASIC_CLASS)
        return broken(ret_why, "a content header is not of class basic");
    header->unfit = NULL;
    if (skipped) {
        header->properties = (struct warren_bytes){"\0", 2}; /* flags: none */
        header->unfit = "the headers are larger than a frame and 128 KiB";
        return WARREN_OK;
    }
    status = properties_check(header->properties, ret_why);
    if (status != WARREN_ETOOBIG)
        return status;
    header->unfit = *ret_why;
    return WARREN_OK;
}

enum warren_status table_check(struct warren_bytes encoded, const char **ret_why)
{
    const uint8_t *data = encoded.data;
    struct cursor cursor = {data, data + encoded.len};

    return check_nested(&cursor, true, 1, ret_why);
}
