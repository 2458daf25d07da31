/* basic_property.h - the one table of the 14 basic properties (AMQP 0-9-1, section 1.8), in the
 * order of the wire. Thread: any; async-signal-safe.
 * Elsewhere: the types of headers (base/field_type.h), decoding and encoding (properties.h).
 */
#ifndef WARREN_AMQP_BASIC_PROPERTY_H
#define WARREN_AMQP_BASIC_PROPERTY_H

#include <warren/message.h>

enum property_form {
    PROPERTY_TEXT,    /* a short string */
    PROPERTY_HEADERS, /* a table */
    PROPERTY_OCTET,
    PROPERTY_TIME /* 8 bytes */
};

/** The table: TEXT(member of struct warren_properties), OTHER(member, form). */
#define BASIC_PROPERTIES(TEXT, OTHER)                                                              \
    TEXT(content_type)                                                                             \
    TEXT(content_encoding)                                                                         \
    OTHER(headers, PROPERTY_HEADERS)                                                               \
    OTHER(delivery_mode, PROPERTY_OCTET)                                                           \
    OTHER(priority, PROPERTY_OCTET)                                                                \
    TEXT(correlation_id)                                                                           \
    TEXT(reply_to)                                                                                 \
    TEXT(expiration)                                                                               \
    TEXT(message_id)                                                                               \
    OTHER(timestamp, PROPERTY_TIME)                                                                \
    TEXT(type)                                                                                     \
    TEXT(user_id)                                                                                  \
    TEXT(app_id)                                                                                   \
    TEXT(cluster_id)

/** A row of it. */
struct basic_property {
    const char *name; /* of the member */
    enum property_form form;
    size_t ours;   /* of a text: where it is in struct warren_properties, */
    size_t theirs; /* and in rabbitmq-c's */
};

#define BASIC_PROPERTY_COUNT 14

extern const struct basic_property basic_properties[BASIC_PROPERTY_COUNT];

/** What announces the @i-th property in front of a list. */
static inline unsigned basic_property_flag(size_t i)
{
    return 0x8000u >> i;
}

/** The first property that @flags announce; they are not 0, and name no other. */
static inline size_t basic_property_first(unsigned flags)
{
    return (size_t)__builtin_clz(flags) - 16;
}

/** The text of @property in @properties; NULL: it is absent, or no text. */
static inline const char *basic_property_text(const struct basic_property *property,
                                              const struct warren_properties *properties)
{
    if (property->form != PROPERTY_TEXT)
        return NULL;
    return *(const char *const *)(const void *)((const char *)properties + property->ours);
}

#endif
