/* content.c - proves property lists and tables before rabbitmq-c's codec sees them: 0.11 recurses
 * without a bound, and an element of an array may reach over the array's end there.
 */
#include "amqp/wire/frame.h"

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

static bool skip(struct cursor *cursor, size_t len)
{
    if ((size_t)(cursor->end - cursor->at) < len)
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

    if ((size_t)(cursor->end - cursor->at) < sizeof len)
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
    struct cursor content;
    bool fits;

    if (cursor->at == cursor->end)
        return broken(ret_why, "a field has no value");
    switch (*cursor->at++) {
    case AMQP_FIELD_KIND_VOID:
        return WARREN_OK;
    case AMQP_FIELD_KIND_BOOLEAN:
    case AMQP_FIELD_KIND_I8:
    case AMQP_FIELD_KIND_U8:
        fits = skip(cursor, 1);
        break;
    case AMQP_FIELD_KIND_I16:
    case AMQP_FIELD_KIND_U16:
        fits = skip(cursor, 2);
        break;
    case AMQP_FIELD_KIND_I32:
    case AMQP_FIELD_KIND_U32:
    case AMQP_FIELD_KIND_F32:
        fits = skip(cursor, 4);
        break;
    case AMQP_FIELD_KIND_DECIMAL:
        fits = skip(cursor, 5);
        break;
    case AMQP_FIELD_KIND_I64:
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_F64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        fits = skip(cursor, 8);
        break;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        fits = take_long(cursor, &content);
        break;
    case AMQP_FIELD_KIND_ARRAY:
        return check_nested(cursor, false, depth + 1, ret_why);
    case AMQP_FIELD_KIND_TABLE:
        return check_nested(cursor, true, depth + 1, ret_why);
    default:
        return broken(ret_why, "a field has an unknown type");
    }
    return fits ? WARREN_OK : broken(ret_why, "a field's value reaches over the table's end");
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

static enum warren_status check_property(struct cursor *cursor, unsigned flag, const char **ret_why)
{
    bool fits;

    switch (flag) {
    case AMQP_BASIC_HEADERS_FLAG:
        return check_nested(cursor, true, 1, ret_why);
    case AMQP_BASIC_DELIVERY_MODE_FLAG:
    case AMQP_BASIC_PRIORITY_FLAG:
        fits = skip(cursor, 1);
        break;
    case AMQP_BASIC_TIMESTAMP_FLAG:
        fits = skip(cursor, 8);
        break;
    default: /* all the others are short strings */
        fits = skip_short_string(cursor);
        break;
    }
    return fits ? WARREN_OK : broken(ret_why, "a property reaches over the end of its list");
}

static enum warren_status check_properties(struct warren_bytes encoded, const char **ret_why)
{
    const uint8_t *data = encoded.data;
    struct cursor cursor = {data + 2, data + encoded.len};
    unsigned flags = wire_get_u16(data);

    if (flags & UNKNOWN_FLAGS)
        return broken(ret_why, "a content header has unknown property flags");
    while (flags) {
        unsigned flag = 1u << (31 - __builtin_clz(flags)); /* the list is in this order */
        enum warren_status status = check_property(&cursor, flag, ret_why);

        if (status != WARREN_OK)
            return status;
        flags &= ~flag;
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
    status = check_properties(header->properties, ret_why);
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
