/* field_type.c - see field_type.h. */
#include "base/field_type.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/c_locale.h"

/* Letters: https://www.rabbitmq.com/amqp-0-9-1-errata, section 3. */
#define TYPES(X)                                                                                   \
    X(VOID, "void", FIELD_VOID, 0, 0, 0)                                                           \
    X(BOOL, "bool", FIELD_BOOL, 1, 0, 0)                                                           \
    X(I8, "i8", FIELD_INTEGER, 1, INT8_MIN, INT8_MAX)                                              \
    X(U8, "u8", FIELD_INTEGER, 1, 0, UINT8_MAX)                                                    \
    X(I16, "i16", FIELD_INTEGER, 2, INT16_MIN, INT16_MAX)                                          \
    X(U16, "u16", FIELD_INTEGER, 2, 0, UINT16_MAX)                                                 \
    X(I32, "i32", FIELD_INTEGER, 4, INT32_MIN, INT32_MAX)                                          \
    X(U32, "u32", FIELD_INTEGER, 4, 0, UINT32_MAX)                                                 \
    X(I64, "i64", FIELD_INTEGER, 8, INT64_MIN, INT64_MAX)                                          \
    X(F32, "f32", FIELD_REAL, 4, 0, 0)                                                             \
    X(F64, "f64", FIELD_REAL, 8, 0, 0)                                                             \
    X(DECIMAL, "decimal", FIELD_DECIMAL, 5, 0, 0)                                                  \
    X(STRING, "string", FIELD_BYTES, 4, 0, 0)                                                      \
    X(BYTES, "bytes", FIELD_BYTES, 4, 0, 0)                                                        \
    X(TIMESTAMP, "timestamp", FIELD_TIMESTAMP, 8, 0, 0)                                            \
    X(ARRAY, "array", FIELD_ARRAY, 4, 0, 0)                                                        \
    X(TABLE, "table", FIELD_TABLE, 4, 0, 0)

#define PLACE(id, ...)  PLACE_##id,
#define ROW(id, ...)    [PLACE_##id] = {WARREN_##id, __VA_ARGS__},
#define LETTER(id, ...) [WARREN_##id] = PLACE_##id + 1,

enum { TYPES(PLACE) PLACE_COUNT };

_Static_assert((int)PLACE_COUNT == FIELD_TYPE_COUNT, "the header says how many there are");

const struct field_type field_types[FIELD_TYPE_COUNT] = {TYPES(ROW)};

/* By letter: where it stands among them, from 1. */
static const uint8_t places[UINT8_MAX + 1] = {TYPES(LETTER)};

const struct field_type *field_type_of(enum warren_type type)
{
    unsigned letter = (unsigned)type;

    return letter <= UINT8_MAX && places[letter] ? &field_types[places[letter] - 1] : NULL;
}

const struct field_type *field_type_of_letter(uint8_t letter)
{
    return field_type_of(letter == 'L' ? WARREN_I64 : (enum warren_type)letter);
}

bool field_is_integer(const struct warren_value *value)
{
    const struct field_type *type = field_type_of(value->type);

    return type && type->form == FIELD_INTEGER;
}

struct warren_bytes field_text(const struct warren_value *value, char text[FIELD_TEXT_SIZE])
{
    const struct field_type *type = field_type_of(value->type);

    switch (type ? type->form : FIELD_VOID) {
    case FIELD_BYTES:
        return value->as.bytes;
    case FIELD_BOOL:
        return warren_text(value->as.boolean ? "true" : "false");
    case FIELD_INTEGER:
        snprintf(text, FIELD_TEXT_SIZE, "%" PRId64, value->as.integer);
        break;
    case FIELD_TIMESTAMP:
        snprintf(text, FIELD_TEXT_SIZE, "%" PRIu64, value->as.timestamp);
        break;
    case FIELD_REAL:
        c_snprintf(text, FIELD_TEXT_SIZE, "%g", value->as.real);
        break;
    default:
        return (struct warren_bytes){NULL, 0};
    }
    return warren_text(text);
}

const char *warren_type_name(enum warren_type type)
{
    const struct field_type *known = field_type_of(type);

    return known ? known->name : "unknown";
}
