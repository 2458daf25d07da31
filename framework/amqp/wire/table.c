/* table.c - field tables from the public form to rabbitmq-c's; the way back is in table_read.c. */
#include "amqp/wire/properties.h"

#include <limits.h>

#include "base/error.h"
#include "base/field_type.h"
#include "base/real.h"

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

static enum warren_status convert_integer(struct conversion *conversion,
                                          const struct field_type *type, int64_t number,
                                          amqp_field_value_t *ret)
{
    if (number < type->min || number > type->max)
        return error_set(conversion->error, WARREN_EINVAL,
                         "field \"%s\": %lld is outside of type %s", conversion->name,
                         (long long)number, type->name);
    /* Signed or not, the bits are the same. */
    if (type->size == 1)
        ret->value.u8 = (uint8_t)number;
    else if (type->size == 2)
        ret->value.u16 = (uint16_t)number;
    else if (type->size == 4)
        ret->value.u32 = (uint32_t)number;
    else
        ret->value.u64 = (uint64_t)number;
    return WARREN_OK;
}

static enum warren_status convert_real(struct conversion *conversion, const struct field_type *type,
                                       double real, amqp_field_value_t *ret)
{
    if (!real_fits(type->type, real))
        return error_set(conversion->error, WARREN_EINVAL,
                         "field \"%s\": %g is outside of type %s, which has finite numbers only",
                         conversion->name, real, type->name);
    if (type->size == sizeof ret->value.f32)
        ret->value.f32 = (float)real;
    else
        ret->value.f64 = real;
    return WARREN_OK;
}

static enum warren_status convert_value(struct conversion *conversion,
                                        const struct warren_value *value, amqp_field_value_t *ret)
{
    const struct field_type *type = field_type_of(value->type);

    if (!type)
        return error_set(conversion->error, WARREN_EINVAL, "field \"%s\" has the unknown type %d",
                         conversion->name, (int)value->type);
    ret->kind = (uint8_t)type->type; /* the numbers are the wire's on both sides */
    switch (type->form) {
    case FIELD_VOID:
        break;
    case FIELD_BOOL:
        ret->value.boolean = value->as.boolean;
        break;
    case FIELD_INTEGER:
        return convert_integer(conversion, type, value->as.integer, ret);
    case FIELD_REAL:
        return convert_real(conversion, type, value->as.real, ret);
    case FIELD_DECIMAL:
        ret->value.decimal.decimals = value->as.decimal.scale;
        ret->value.decimal.value = value->as.decimal.unscaled;
        break;
    case FIELD_TIMESTAMP:
        ret->value.u64 = value->as.timestamp;
        break;
    case FIELD_BYTES:
        ret->value.bytes.bytes = (void *)value->as.bytes.data;
        ret->value.bytes.len = value->as.bytes.len;
        break;
    case FIELD_ARRAY:
        return convert_array(conversion, &value->as.array, &ret->value.array);
    case FIELD_TABLE:
        return convert_table(conversion, &value->as.table, &ret->value.table);
    }
    return WARREN_OK;
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
        if (key->len > WIRE_SHORT_MAX)
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

enum warren_status table_to_amqp(const struct warren_table *table, const struct arena *texts,
                                 struct arena *arena, amqp_table_t *ret_table,
                                 struct warren_error *error)
{
    struct conversion conversion = {texts, arena, error, "", 0};

    return convert_table(&conversion, table, ret_table);
}

/* ---- how many bytes ---- */

static size_t add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t value_size(const struct warren_value *value, const struct arena *texts)
{
    const struct field_type *type = field_type_of(value->type);
    size_t size = 1 + (size_t)type->size;

    switch (type->form) {
    case FIELD_BYTES:
        return add(size, value->as.bytes.len);
    case FIELD_ARRAY:
        for (size_t i = 0; i < value->as.array.count; i++)
            size = add(size, value_size(&value->as.array.values[i], texts));
        return size;
    case FIELD_TABLE:
        return add(1, table_size(&value->as.table, texts));
    default:
        return size;
    }
}

size_t field_size(const struct warren_field *field, const struct arena *texts)
{
    return add(1 + arena_bytes(texts, field->name).len, value_size(&field->value, texts));
}

size_t table_size(const struct warren_table *table, const struct arena *texts)
{
    size_t size = 4;

    for (size_t i = 0; i < table->count; i++)
        size = add(size, field_size(&table->fields[i], texts));
    return size;
}
