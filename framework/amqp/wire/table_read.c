/* table_read.c - field tables from rabbitmq-c's form to the public one. */
#include "amqp/wire/properties.h"

#include <string.h>

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

static enum warren_status read_value(const amqp_field_value_t *value, struct arena *arena,
                                     unsigned depth, struct warren_value *ret)
{
    ret->type = (enum warren_type)value->kind;
    switch (value->kind) {
    case AMQP_FIELD_KIND_VOID:
        return WARREN_OK;
    case AMQP_FIELD_KIND_BOOLEAN:
        ret->as.boolean = value->value.boolean;
        return WARREN_OK;
    case AMQP_FIELD_KIND_I8:
        ret->as.integer = value->value.i8;
        return WARREN_OK;
    case AMQP_FIELD_KIND_U8:
        ret->as.integer = value->value.u8;
        return WARREN_OK;
    case AMQP_FIELD_KIND_I16:
        ret->as.integer = value->value.i16;
        return WARREN_OK;
    case AMQP_FIELD_KIND_U16:
        ret->as.integer = value->value.u16;
        return WARREN_OK;
    case AMQP_FIELD_KIND_I32:
        ret->as.integer = value->value.i32;
        return WARREN_OK;
    case AMQP_FIELD_KIND_U32:
        ret->as.integer = value->value.u32;
        return WARREN_OK;
    case AMQP_FIELD_KIND_U64: /* AMQP 0-9-1's own letter for what RabbitMQ calls 'l' */
        ret->type = WARREN_I64;
        ret->as.integer = (int64_t)value->value.u64;
        return WARREN_OK;
    case AMQP_FIELD_KIND_I64:
        ret->as.integer = value->value.i64;
        return WARREN_OK;
    case AMQP_FIELD_KIND_F32:
        ret->as.real = (double)value->value.f32;
        return WARREN_OK;
    case AMQP_FIELD_KIND_F64:
        ret->as.real = value->value.f64;
        return WARREN_OK;
    case AMQP_FIELD_KIND_DECIMAL:
        ret->as.decimal.scale = value->value.decimal.decimals;
        ret->as.decimal.unscaled = value->value.decimal.value;
        return WARREN_OK;
    case AMQP_FIELD_KIND_TIMESTAMP:
        ret->as.timestamp = value->value.u64;
        return WARREN_OK;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return read_bytes(value->value.bytes, arena, &ret->as.bytes);
    case AMQP_FIELD_KIND_ARRAY:
        return read_array(&value->value.array, arena, depth + 1, &ret->as.array);
    case AMQP_FIELD_KIND_TABLE:
        return read_table(&value->value.table, arena, depth + 1, &ret->as.table);
    default:
        return WARREN_EPROTOCOL;
    }
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
