/* message.h - a message as AMQP 0-9-1 knows it: body, basic properties, headers of every type.
 * Plain structs: build one on the stack to publish, read one that a job hands out.
 * Elsewhere: where a message goes (publisher.h), where it came from (handler.h).
 */
#ifndef WARREN_MESSAGE_H
#define WARREN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <warren/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A view of @len bytes that somebody else owns. */
struct warren_bytes {
    const void *data;
    size_t len;
};

/**
 * The types of a field value. The numbers are the type octets that RabbitMQ puts on the wire.
 * Source: https://www.rabbitmq.com/amqp-0-9-1-errata, section 3.
 */
enum warren_type {
    WARREN_VOID = 'V',
    WARREN_BOOL = 't',
    WARREN_I8 = 'b',
    WARREN_U8 = 'B',
    WARREN_I16 = 's',
    WARREN_U16 = 'u',
    WARREN_I32 = 'I',
    WARREN_U32 = 'i',
    WARREN_I64 = 'l',
    WARREN_F32 = 'f',
    WARREN_F64 = 'd',
    WARREN_DECIMAL = 'D',
    WARREN_STRING = 'S', /**< up to 4 GiB of bytes, by convention UTF-8 */
    WARREN_BYTES = 'x',
    WARREN_TIMESTAMP = 'T', /**< seconds since 1970-01-01 UTC */
    WARREN_ARRAY = 'A',
    WARREN_TABLE = 'F'
};

struct warren_value;
struct warren_field;

/** Values in a row, each of a type of its own. */
struct warren_array {
    const struct warren_value *values;
    size_t count;
};

/** Named values in the order of the wire; a name may stand twice, the first one counts. */
struct warren_table {
    const struct warren_field *fields;
    size_t count;
};

/**
 * One field value; @type says which member of @as is alive. A number outside of its type is refused
 * where it is given (WARREN_EINVAL), and so are NaN and infinities: RabbitMQ cannot read them.
 */
struct warren_value {
    enum warren_type type;
    union {
        bool boolean;              /**< BOOL */
        int64_t integer;           /**< I8, I16, I32, I64, U8, U16, U32 */
        double real;               /**< F32, F64: finite, F32 within its range */
        uint64_t timestamp;        /**< TIMESTAMP */
        struct warren_bytes bytes; /**< STRING, BYTES */
        struct warren_array array; /**< ARRAY */
        struct warren_table table; /**< TABLE */
        struct {
            uint8_t scale; /**< the value is @unscaled / 10^scale */
            uint32_t unscaled;
        } decimal; /**< DECIMAL */
    } as;
};

/** A header, or an argument of a queue. A name has at most 255 bytes and ends with NUL. */
struct warren_field {
    const char *name;
    struct warren_value value;
};

/** Tables and arrays inside each other; a deeper message is refused before it is decoded. */
#define WARREN_NESTING_MAX 16

/**
 * The basic properties (AMQP 0-9-1, section 1.8). All zero means: none present.
 * A string is at most 255 bytes; NULL means absent.
 */
struct warren_properties {
    const char *content_type;
    const char *content_encoding;
    struct warren_table headers; /**< count 0: absent */
    uint8_t delivery_mode;       /**< 1 transient, 2 persistent, 0 absent */
    bool has_priority;
    uint8_t priority; /**< 0 to 255; meaningful if @has_priority */
    const char *correlation_id;
    const char *reply_to;
    const char *expiration; /**< milliseconds as a decimal string, by RabbitMQ's TTL rules */
    const char *message_id;
    bool has_timestamp;
    uint64_t timestamp; /**< seconds since 1970-01-01 UTC; meaningful if @has_timestamp */
    const char *type;
    const char *user_id; /**< RabbitMQ refuses one that is not the connection's user */
    const char *app_id;
    const char *cluster_id;
};

/*
 * Texts with a NUL. AMQP forbids a NUL in properties, in names of headers, exchanges and routing
 * keys, and no broker looks: whoever publishes can put one there. A C string ends at it. So do
 * these structs and warren_table_get(), for which "x\0y" is "x"; a message that you build of C
 * strings of your own cannot hold one. What warren hands out is there to its end, with a NUL behind
 * it, and its length is given by warren_job_text() (handler.h), warren_reply_text() and the receipt
 * (publisher.h), and warren_test_text() (testing.h). Keys of idempotency, headers asked for by
 * warren_job_header(), dead letters, retries, replies, logs and dumps always go by the whole text.
 *
 * A job that publishes what it was given, properties, tables or names, passes it on whole, as long
 * as it gives the pointers that it got: the copy of a C string ends at the NUL.
 */

/** What travels: properties and body. */
struct warren_message {
    struct warren_properties properties;
    struct warren_bytes body;
};

/** A body from a NUL-terminated string, without the NUL. */
static inline struct warren_bytes warren_text(const char *text)
{
    struct warren_bytes bytes = {text, strlen(text)};
    return bytes;
}

/** A header or queue argument with a string value; @name and @text are borrowed. */
static inline struct warren_field warren_field_text(const char *name, const char *text)
{
    struct warren_field field;
    memset(&field, 0, sizeof field);
    field.name = name;
    field.value.type = WARREN_STRING;
    field.value.as.bytes = warren_text(text);
    return field;
}

/** A header or queue argument with a 64-bit signed value; @name is borrowed. */
static inline struct warren_field warren_field_i64(const char *name, int64_t number)
{
    struct warren_field field;
    memset(&field, 0, sizeof field);
    field.name = name;
    field.value.type = WARREN_I64;
    field.value.as.integer = number;
    return field;
}

/** A header or queue argument with a truth value; @name is borrowed. */
static inline struct warren_field warren_field_bool(const char *name, bool truth)
{
    struct warren_field field;
    memset(&field, 0, sizeof field);
    field.name = name;
    field.value.type = WARREN_BOOL;
    field.value.as.boolean = truth;
    return field;
}

/**
 * The first value named @name in @table, or NULL, as for NULL. A name ends at its first NUL.
 *
 * Thread: any. Ownership: borrowed from @table. Cost: linear in the number of fields. Since: 0.1.
 */
WARREN_API const struct warren_value *warren_table_get(const struct warren_table *table,
                                                       const char *name);

/**
 * The name of @type for people and JSON: "string", "i64", "table", ...; "unknown" for any other.
 *
 * Thread: any. Ownership: static storage. Since: 0.1.
 */
WARREN_API const char *warren_type_name(enum warren_type type);

#ifdef __cplusplus
}
#endif
#endif
