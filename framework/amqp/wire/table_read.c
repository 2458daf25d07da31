/* table_read.c - field tables from rabbitmq-c's form to the public one. */
#include "amqp/wire/properties.h"

#include <string.h>

#include "base/field_type.h"

static enum warren_status read_table(const amqp_table_t *table, struct arena *arena, unsigned depth,
                                     struct warren_table *ret);
static enum warren_status read_array(const amqp_array_t *array, struct arena *arena, unsigned depth,
                                     struct warren_array *ret);

static enum warren_status read_bytes(amqp_bytes_t bytes, struct arena *arena,
                                     struct warren_bytes *ret)
{
    ret->len = bytes.len;
    ret->data = arena_copy(arena, bytes.bytes, bytes.len); /* the NUL is for careless readers */
    return ret->data ? WARREN_OK : WARREN_ENOMEM;
}

static int64_t read_integer(const struct field_type *type, const amqp_field_value_t *value)
{
    bool is_signed = type->min < 0;

    if (type->size == 1)
        return is_signed ? value->value.i8 : value->value.u8;
    if (type->size == 2)
        return is_signed ? value->value.i16 : value->value.u16;
    if (type->size == 4)
        return is_signed ? value->value.i32 : (int64_t)value->value.u32;
    return value->value.i64;
}

static enum warren_status read_value(const amqp_field_value_t *value, struct arena *arena,
                                     unsigned depth, struct warren_value *ret)
{
    const struct field_type *type = field_type_of_letter(value->kind);

    if (!type)
        return WARREN_EPROTOCOL;
    ret->type = type->type;
    switch (type->form) {
    case FIELD_VOID:
        break;
    case FIELD_BOOL:
        ret->as.boolean = value->value.boolean;
        break;
    case FIELD_INTEGER:
        ret->as.integer = read_integer(type, value);
        break;
    case FIELD_REAL:
        ret->as.real = type->type == WARREN_F32 ? (double)value->value.f32 : value->value.f64;
        break;
    case FIELD_DECIMAL:
        ret->as.decimal.scale = value->value.decimal.decimals;
        ret->as.decimal.unscaled = value->value.decimal.value;
        break;
    case FIELD_TIMESTAMP:
        ret->as.timestamp = value->value.u64;
        break;
    case FIELD_BYTES:
        return read_bytes(value->value.bytes, arena, &ret->as.bytes);
    case FIELD_ARRAY:
        return read_array(&value->value.array, arena, depth + 1, &ret->as.array);
    case FIELD_TABLE:
        return read_table(&value->value.table, arena, depth + 1, &ret->as.table);
    }
    return WARREN_OK;
}

static enum warren_status read_array(const amqp_array_t *array, struct arena *arena, unsigned depth,
                                     struct warren_array *ret)
{
    size_t count = (size_t)array->num_entries;
    struct warren_value *values;

    if (depth > WARREN_NESTING_MAX)
        return WARREN_EPROTOCOL;
    values = arena_alloc(arena, count * sizeof *values);
    if (!values)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        enum warren_status status = read_value(&array->entries[i], arena, depth, &values[i]);

        if (status != WARREN_OK)
            return status;
    }
    ret->values = values;
    ret->count = count;
    return WARREN_OK;
}

static enum warren_status read_table(const amqp_table_t *table, struct arena *arena, unsigned depth,
                                     struct warren_table *ret)
{
    size_t count = (size_t)table->num_entries;
    struct warren_field *fields;

    if (depth > WARREN_NESTING_MAX)
        return WARREN_EPROTOCOL;
    fields = arena_alloc(arena, count * sizeof *fields);
    if (!fields)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];
        enum warren_status status;

        fields[i].name = arena_text(arena, entry->key.bytes, entry->key.len);
        if (!fields[i].name)
            return WARREN_ENOMEM;
        status = read_value(&entry->value, arena, depth, &fields[i].value);
        if (status != WARREN_OK)
            return status;
    }
    ret->fields = fields;
    ret->count = count;
    return WARREN_OK;
}

enum warren_status table_from_amqp(const amqp_table_t *table, struct arena *arena,
                                   struct warren_table *ret_table)
{
    return read_table(table, arena, 1, ret_table);
}

amqp_table_entry_t *table_entry(const amqp_table_t *table, const char *name)
{
    size_t len = strlen(name);

    for (int i = 0; i < table->num_entries; i++) {
        const amqp_bytes_t *key = &table->entries[i].key;

        if (key->len == len && memcmp(key->bytes, name, len) == 0)
            return &table->entries[i];
    }
    return NULL;
}

const struct warren_value *table_get(const struct warren_table *table, const char *name,
                                     const struct arena *texts)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < table->count; i++) {
        struct warren_bytes found = arena_bytes(texts, table->fields[i].name);

        if (found.len == len && memcmp(found.data, name, len) == 0)
            return &table->fields[i].value;
    }
    return NULL;
}
