/* field_type.h - the one table of the types that a header or an argument can have: from it come
 * names, ranges, sizes, encoders, decoders and JSON. Thread: any; async-signal-safe.
 * Elsewhere: rabbitmq-c's form of a value (amqp/wire/table.c), JSON (command/dump/).
 */
#ifndef WARREN_BASE_FIELD_TYPE_H
#define WARREN_BASE_FIELD_TYPE_H

#include <warren/message.h>

/** What a value is: the member of struct warren_value that is alive. */
enum field_form {
    FIELD_VOID, /* none */
    FIELD_BOOL,
    FIELD_INTEGER,
    FIELD_REAL,
    FIELD_DECIMAL,
    FIELD_TIMESTAMP,
    FIELD_BYTES, /* this and the next ones have a length */
    FIELD_ARRAY,
    FIELD_TABLE
};

struct field_type {
    enum warren_type type; /* its letter on the wire */
    const char *name;
    enum field_form form;
    uint8_t size; /* bytes on the wire; of what has a length, those of the length */
    int64_t min;  /* of an integer */
    int64_t max;
};

#define FIELD_TYPE_COUNT 17

/** All of them, in the order in which people read of them. */
extern const struct field_type field_types[FIELD_TYPE_COUNT];

/** NULL: there is no such type. */
const struct field_type *field_type_of(enum warren_type type);
/** The same of a letter on the wire, where 'L' is an i64 too: AMQP 0-9-1 writes it so. */
const struct field_type *field_type_of_letter(uint8_t letter);

static inline bool field_type_has_length(const struct field_type *type)
{
    return type->form >= FIELD_BYTES;
}

/** Is @value a whole number, in `as.integer`? */
bool field_is_integer(const struct warren_value *value);

/** Room for field_text(). */
#define FIELD_TEXT_SIZE 32

/**
 * @value as people read it: a text as it is, a number in the C locale, "true".
 *
 * @text    where it may be written
 * @return  borrowed from @value or @text; data NULL: its type has no such text (void, a decimal, an
 *          array, a table)
 */
struct warren_bytes field_text(const struct warren_value *value, char text[FIELD_TEXT_SIZE]);

#endif
