/* properties.c - see properties.h; tables are in table.c. */
#include "amqp/wire/properties.h"

#include <string.h>

#include "base/error.h"

#include "amqp/wire/basic_property.h"

#define FLAGS_SIZE 2

static const char **our_text(struct warren_properties *properties, const struct basic_property *row)
{
    return (const char **)(void *)((char *)properties + row->ours);
}

static amqp_bytes_t *their_text(amqp_basic_properties_t *basic, const struct basic_property *row)
{
    return (amqp_bytes_t *)(void *)((char *)basic + row->theirs);
}

/* ---- from the wire ---- */

static enum warren_status copy_texts(amqp_basic_properties_t *basic, struct arena *arena,
                                     struct warren_properties *properties)
{
    for (size_t i = 0; i < BASIC_PROPERTY_COUNT; i++) {
        const struct basic_property *row = &basic_properties[i];
        amqp_bytes_t *text = their_text(basic, row);

        if (row->form != PROPERTY_TEXT || !(basic->_flags & basic_property_flag(i)))
            continue;
        *our_text(properties, row) = arena_text(arena, text->bytes, text->len);
        if (!*our_text(properties, row))
            return WARREN_ENOMEM;
    }
    return WARREN_OK;
}

static enum warren_status from_amqp(amqp_basic_properties_t *basic, struct arena *arena,
                                    struct warren_properties *properties)
{
    enum warren_status status = copy_texts(basic, arena, properties);

    if (status == WARREN_OK && basic->_flags & AMQP_BASIC_HEADERS_FLAG)
        status = table_from_amqp(&basic->headers, arena, &properties->headers);
    if (basic->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG)
        properties->delivery_mode = basic->delivery_mode;
    if (basic->_flags & AMQP_BASIC_PRIORITY_FLAG) {
        properties->has_priority = true;
        properties->priority = basic->priority;
    }
    if (basic->_flags & AMQP_BASIC_TIMESTAMP_FLAG) {
        properties->has_timestamp = true;
        properties->timestamp = basic->timestamp;
    }
    return status;
}

enum warren_status properties_decode(struct warren_bytes encoded, struct arena *arena,
                                     struct warren_properties *properties)
{
    amqp_bytes_t bytes = {encoded.len, (void *)encoded.data};
    enum warren_status status;
    amqp_pool_t pool;
    void *decoded;
    int result;

    memset(properties, 0, sizeof *properties);
    init_amqp_pool(&pool, 0);
    result = amqp_decode_properties(AMQP_BASIC_CLASS, &pool, bytes, &decoded);
    if (result == AMQP_STATUS_NO_MEMORY)
        status = WARREN_ENOMEM;
    else if (result < 0)
        status = WARREN_EPROTOCOL;
    else
        status = from_amqp(decoded, arena, properties);
    empty_amqp_pool(&pool);
    if (status != WARREN_OK)
        memset(properties, 0, sizeof *properties);
    return status;
}

/* ---- to the wire ---- */

static enum warren_status borrow_texts(const struct warren_properties *properties,
                                       const struct arena *texts, amqp_basic_properties_t *basic,
                                       struct warren_error *error)
{
    for (size_t i = 0; i < BASIC_PROPERTY_COUNT; i++) {
        const struct basic_property *row = &basic_properties[i];
        struct warren_bytes text = arena_bytes(texts, basic_property_text(row, properties));

        if (!text.data)
            continue;
        if (text.len > WIRE_SHORT_MAX)
            return error_set(error, WARREN_EINVAL, "property %s is longer than 255 bytes",
                             row->name);
        *their_text(basic, row) = (amqp_bytes_t){text.len, (void *)text.data};
        basic->_flags |= basic_property_flag(i);
    }
    return WARREN_OK;
}

size_t properties_texts_size(const struct warren_properties *properties, const struct arena *texts)
{
    size_t size = 0;

    for (size_t i = 0; i < BASIC_PROPERTY_COUNT; i++) {
        const char *text = basic_property_text(&basic_properties[i], properties);

        if (text)
            size += 1 + arena_bytes(texts, text).len;
    }
    return size;
}

/* rabbitmq-c's form, and how many bytes it will take. */
static enum warren_status to_amqp(const struct warren_properties *properties,
                                  const struct arena *texts, struct arena *scratch,
                                  amqp_basic_properties_t *basic, size_t *size,
                                  struct warren_error *error)
{
    enum warren_status status;
    size_t headers = 0;

    memset(basic, 0, sizeof *basic);
    status = borrow_texts(properties, texts, basic, error);
    if (status != WARREN_OK)
        return status;
    *size = FLAGS_SIZE + properties_texts_size(properties, texts);
    if (properties->headers.count) {
        status = table_to_amqp(&properties->headers, texts, scratch, &basic->headers, error);
        if (status != WARREN_OK)
            return status;
        basic->_flags |= AMQP_BASIC_HEADERS_FLAG;
        headers = table_size(&properties->headers, texts);
    }
    if (properties->delivery_mode) {
        basic->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
        basic->delivery_mode = properties->delivery_mode;
        *size += 1;
    }
    if (properties->has_priority) {
        basic->_flags |= AMQP_BASIC_PRIORITY_FLAG;
        basic->priority = properties->priority;
        *size += 1;
    }
    if (properties->has_timestamp) {
        basic->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        basic->timestamp = properties->timestamp;
        *size += 8;
    }
    if (__builtin_add_overflow(*size, headers, size))
        *size = SIZE_MAX;
    return WARREN_OK;
}

enum warren_status properties_encode(const struct warren_properties *properties,
                                     const struct arena *texts, size_t max, struct arena *scratch,
                                     struct buffer *out, struct warren_error *error)
{
    amqp_basic_properties_t basic;
    enum warren_status status;
    amqp_bytes_t room;
    size_t size;
    int len;

    status = to_amqp(properties, texts, scratch, &basic, &size, error);
    if (status != WARREN_OK)
        return status;
    if (size > max || size == SIZE_MAX)
        return error_set(error, WARREN_ETOOBIG,
                         "properties and headers take %zu bytes, at most %zu are possible", size,
                         max);
    status = buffer_reserve(out, size);
    if (status != WARREN_OK)
        return error_set(error, status, "no memory for properties of %zu bytes", size);
    room.bytes = buffer_back(out);
    room.len = size;
    len = amqp_encode_properties(AMQP_BASIC_CLASS, &basic, room);
    if (len < 0 || (size_t)len != size)
        return error_set(error, WARREN_EINVAL, "properties cannot be encoded: %s",
                         len < 0 ? amqp_error_string2(len) : "another size than computed");
    buffer_added(out, size);
    return WARREN_OK;
}
