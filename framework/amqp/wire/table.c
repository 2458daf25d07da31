/* table.c - field tables from the public form to rabbitmq-c's; the way back is in table_read.c. */
#include "amqp/wire/table.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/integer_type.h"
#include "base/real.h"

#include "amqp/wire/properties.h"

#define NAME_MAX_BYTES 255

/* What the values of one table are converted with; @name is the field that errors speak of. */
struct conversion {
    const struct arena *texts;
    struct arena *arena;
    struct warren_error *error;
    const char *name;
    unsigned depth; /* tables and arrays that we are in */
};

static enum warren_status convert_table(struct conversion *conversion,
                                        const struct warren_table *table, amqp_table_t *ret);
static enum warren_status convert_array(struct conversion *conversion,
                                        const struct warren_array *array, amqp_array_t *ret);

static enum warren_status convert_integer(struct conversion *conversion, enum warren_type type,
                                          int64_t number, amqp_field_value_t *ret)
{
    const struct integer_type *range = integer_type(type);

    if (number < range->min || number > range->max)
        return error_set(conversion->error, WARREN_EINVAL,
                         "field \"%s\": %lld is outside of type %s", conversion->name,
                         (long long)number, warren_type_name(type));
    switch (type) {
    case WARREN_I8:
        ret->value.i8 = (int8_t)number;
        break;
    case WARREN_U8:
        ret->value.u8 = (uint8_t)number;
        break;
    case WARREN_I16:
        ret->value.i16 = (int16_t)number;
        break;
    case WARREN_U16:
        ret->value.u16 = (uint16_t)number;
        break;
    case WARREN_I32:
        ret->value.i32 = (int32_t)number;
        break;
    case WARREN_U32:
        ret->value.u32 = (uint32_t)number;
        break;
    default:
        ret->value.i64 = number;
        break;
    }
    return WARREN_OK;
}

static enum warren_status convert_real(struct conversion *conversion, enum warren_type type,
                                       double real, amqp_field_value_t *ret)
{
    if (!real_fits(type, real))
        return error_set(conversion->error, WARREN_EINVAL,
                         "field \"%s\": %g is outside of type %s, which has finite numbers only",
                         conversion->name, real, warren_type_name(type));
    if (type == WARREN_F32)
        ret->value.f32 = (float)real;
    else
        ret->value.f64 = real;
    return WARREN_OK;
}

static enum warren_status convert_value(struct conversion *conversion,
                                        const struct warren_value *value, amqp_field_value_t *ret)
{
    ret->kind = (uint8_t)value->type; /* the numbers are the wire's on both sides */
    switch (value->type) {
    case WARREN_VOID:
        return WARREN_OK;
    case WARREN_BOOL:
        ret->value.boolean = value->as.boolean;
        return WARREN_OK;
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        return convert_integer(conversion, value->type, value->as.integer, ret);
    case WARREN_F32:
    case WARREN_F64:
        return convert_real(conversion, value->type, value->as.real, ret);
    case WARREN_DECIMAL:
        ret->value.decimal.decimals = value->as.decimal.scale;
        ret->value.decimal.value = value->as.decimal.unscaled;
        return WARREN_OK;
    case WARREN_STRING:
    case WARREN_BYTES:
        ret->value.bytes.bytes = (void *)value->as.bytes.data;
        ret->value.bytes.len = value->as.bytes.len;
        return WARREN_OK;
    case WARREN_TIMESTAMP:
        ret->value.u64 = value->as.timestamp;
        return WARREN_OK;
    case WARREN_ARRAY:
        return convert_array(conversion, &value->as.array, &ret->value.array);
    case WARREN_TABLE:
        return convert_table(conversion, &value->as.table, &ret->value.table);
    }
    return error_set(conversion->error, WARREN_EINVAL, "field \"%s\" has the unknown type %d",
                     conversion->name, (int)value->type);
}

/* Memory for what a table or an array holds, unless it is too deep or too long. */
static enum warren_status enter(struct conversion *conversion, size_t count, size_t size,
                                void **ret)
{
    if (conversion->depth >= WARREN_NESTING_MAX)
        return error_set(conversion->error, WARREN_EINVAL,
                         "field \"%s\": tables and arrays are nested more than %d deep",
                         conversion->name, WARREN_NESTING_MAX);
    if (count > INT_MAX / size)
        return error_set(conversion->error, WARREN_ETOOBIG, "field \"%s\" has too many values",
                         conversion->name);
    *ret = count ? arena_alloc(conversion->arena, count * size) : NULL;
    if (count && !*ret)
        return error_set(conversion->error, WARREN_ENOMEM, "no memory for a table");
    conversion->depth++;
    return WARREN_OK;
}

static enum warren_status convert_array(struct conversion *conversion,
                                        const struct warren_array *array, amqp_array_t *ret)
{
    enum warren_status status;
    void *memory;

    status = enter(conversion, array->count, sizeof *ret->entries, &memory);
    if (status != WARREN_OK)
        return status;
    ret->entries = memory;
    ret->num_entries = (int)array->count;
    for (size_t i = 0; i < array->count; i++) {
        status = convert_value(conversion, &array->values[i], &ret->entries[i]);
        if (status != WARREN_OK)
            return status;
    }
    conversion->depth--;
    return WARREN_OK;
}

static enum warren_status convert_table(struct conversion *conversion,
                                        const struct warren_table *table, amqp_table_t *ret)
{
    const char *outer = conversion->name;
    enum warren_status status;
    void *memory;

    status = enter(conversion, table->count, sizeof *ret->entries, &memory);
    if (status != WARREN_OK)
        return status;
    ret->entries = memory;
    ret->num_entries = (int)table->count;
    for (size_t i = 0; i < table->count; i++) {
        const struct warren_field *field = &table->fields[i];
        struct warren_bytes name = arena_bytes(conversion->texts, field->name);
        amqp_bytes_t *key = &ret->entries[i].key;

        key->bytes = (void *)name.data;
        key->len = name.len;
        if (key->len > NAME_MAX_BYTES)
            return error_set(conversion->error, WARREN_EINVAL,
                             "a field's name is longer than 255 bytes: %.40s...", field->name);
        conversion->name = field->name;
        status = convert_value(conversion, &field->value, &ret->entries[i].value);
        if (status != WARREN_OK)
            return status;
    }
    conversion->name = outer;
    conversion->depth--;
    return WARREN_OK;
}

enum warren_status table_to_amqp_whole(const struct warren_table *table, const struct arena *texts,
                                       struct arena *arena, amqp_table_t *ret_table,
                                       struct warren_error *error)
{
    struct conversion conversion = {texts, arena, error, "", 0};

    return convert_table(&conversion, table, ret_table);
}

enum warren_status table_to_amqp(const struct warren_table *table, struct arena *arena,
                                 amqp_table_t *ret_table, struct warren_error *error)
{
    return table_to_amqp_whole(table, NULL, arena, ret_table, error);
}

/* ---- how many bytes ---- */

static size_t add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t value_size(const amqp_field_value_t *value)
{
    size_t size = 4;

    switch (value->kind) {
    case AMQP_FIELD_KIND_VOID:
        return 1;
    case AMQP_FIELD_KIND_BOOLEAN:
    case AMQP_FIELD_KIND_I8:
    case AMQP_FIELD_KIND_U8:
        return 1 + 1;
    case AMQP_FIELD_KIND_I16:
    case AMQP_FIELD_KIND_U16:
        return 1 + 2;
    case AMQP_FIELD_KIND_I32:
    case AMQP_FIELD_KIND_U32:
    case AMQP_FIELD_KIND_F32:
        return 1 + 4;
    case AMQP_FIELD_KIND_DECIMAL:
        return 1 + 5;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return add(1 + 4, value->value.bytes.len);
    case AMQP_FIELD_KIND_ARRAY:
        for (int i = 0; i < value->value.array.num_entries; i++)
            size = add(size, value_size(&value->value.array.entries[i]));
        return add(1, size);
    case AMQP_FIELD_KIND_TABLE:
        return add(1, table_size(&value->value.table));
    default:
        return 1 + 8;
    }
}

size_t table_size(const amqp_table_t *table)
{
    size_t size = 4;

    for (int i = 0; i < table->num_entries; i++) {
        size = add(size, 1 + table->entries[i].key.len);
        size = add(size, value_size(&table->entries[i].value));
    }
    return size;
}
