/* argument_same.c - see argument_same.h. */
#include "amqp/topology/argument_same.h"

#include <string.h>

#include "base/field_type.h"

static bool same_bytes(struct warren_bytes a, struct warren_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_array(const struct warren_array *a, const struct warren_array *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!argument_same(&a->values[i], &b->values[i]))
            return false;
    return true;
}

/* In any order. */
bool arguments_same(const struct warren_table *a, const struct warren_table *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct warren_value *other = warren_table_get(b, a->fields[i].name);

        if (!other || !argument_same(&a->fields[i].value, other))
            return false;
    }
    return true;
}

static enum field_form form_of(const struct warren_value *value)
{
    const struct field_type *type = field_type_of(value->type);

    return type ? type->form : FIELD_VOID;
}

static bool is_void_in_words(const struct warren_value *a, const struct warren_value *b)
{
    return a->type == WARREN_VOID && b->type == WARREN_STRING &&
           same_bytes(b->as.bytes, warren_text("undefined"));
}

bool argument_same(const struct warren_value *a, const struct warren_value *b)
{
    enum field_form form = form_of(a);

    if (form != form_of(b))
        return is_void_in_words(a, b) || is_void_in_words(b, a);
    switch (form) {
    case FIELD_VOID:
        return (a->type == 0) == (b->type == 0);
    case FIELD_BOOL:
        return a->as.boolean == b->as.boolean;
    case FIELD_INTEGER:
        return a->as.integer == b->as.integer;
    case FIELD_REAL:
        return a->as.real == b->as.real;
    case FIELD_DECIMAL:
        return a->as.decimal.scale == b->as.decimal.scale &&
               a->as.decimal.unscaled == b->as.decimal.unscaled;
    case FIELD_TIMESTAMP:
        return a->as.timestamp == b->as.timestamp;
    case FIELD_BYTES:
        return same_bytes(a->as.bytes, b->as.bytes);
    case FIELD_ARRAY:
        return same_array(&a->as.array, &b->as.array);
    case FIELD_TABLE:
        return arguments_same(&a->as.table, &b->as.table);
    }
    return false;
}
