/* table.c - field tables from the public form to rabbitmq-c's, and back. */
#include <limits.h>
#include <string.h>

#include "amqp/wire/properties.h"
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
    void *memory;
    enum warren_status status = enter(conversion, array->count, sizeof *ret->entries, &memory);

    if (status != WARREN_OK)
        return status;
    ret->entries = memory;
    ret->num_entries = (int)array->count;
    for (size_t i = 0; i < array->count && status == WARREN_OK; i++)
        status = convert_value(conversion, &array->values[i], &ret->entries[i]);
    conversion->depth--;
    return status;
}

static enum warren_status convert_table(struct conversion *conversion,
                                        const struct warren_table *table, amqp_table_t *ret)
{
    const char *outer = conversion->name;
    void *memory;
    enum warren_status status = enter(conversion, table->count, sizeof *ret->entries, &memory);

    if (status != WARREN_OK)
        return status;
    ret->entries = memory;
    ret->num_entries = (int)table->count;
    for (size_t i = 0; i < table->count && status == WARREN_OK; i++) {
        const struct warren_field *field = &table->fields[i];
        struct warren_bytes name = arena_bytes(conversion->texts, field->name);

        ret->entries[i].key = (amqp_bytes_t){.len = name.len, .bytes = (void *)name.data};
        if (name.len > WIRE_SHORT_MAX)
            return error_set(conversion->error, WARREN_EINVAL,
                             "a field's name is longer than 255 bytes: %.40s...", field->name);
        conversion->name = field->name;
        status = convert_value(conversion, &field->value, &ret->entries[i].value);
    }
    conversion->name = outer;
    conversion->depth--;
    return status;
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

/* ---- from rabbitmq-c's ---- */

static enum warren_status read_table(const amqp_table_t *table, struct arena *arena, unsigned depth,
                                     struct warren_table *ret);
static enum warren_status read_array(const amqp_array_t *array, struct arena *arena, unsigned depth,
                                     struct warren_array *ret);

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
    case FIELD_BYTES: /* arena_copy() adds a NUL, for careless readers */
        ret->as.bytes.len = value->value.bytes.len;
        ret->as.bytes.data = arena_copy(arena, value->value.bytes.bytes, value->value.bytes.len);
        return ret->as.bytes.data ? WARREN_OK : WARREN_ENOMEM;
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
    enum warren_status status = WARREN_OK;
    struct warren_value *values;

    if (depth > WARREN_NESTING_MAX)
        return WARREN_EPROTOCOL;
    values = arena_alloc(arena, count * sizeof *values);
    if (!values)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count && status == WARREN_OK; i++)
        status = read_value(&array->entries[i], arena, depth, &values[i]);
    ret->values = values;
    ret->count = count;
    return status;
}

static enum warren_status read_table(const amqp_table_t *table, struct arena *arena, unsigned depth,
                                     struct warren_table *ret)
{
    size_t count = (size_t)table->num_entries;
    enum warren_status status = WARREN_OK;
    struct warren_field *fields;

    if (depth > WARREN_NESTING_MAX)
        return WARREN_EPROTOCOL;
    fields = arena_alloc(arena, count * sizeof *fields);
    if (!fields)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count && status == WARREN_OK; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        fields[i].name = arena_text(arena, entry->key.bytes, entry->key.len);
        if (!fields[i].name)
            return WARREN_ENOMEM;
        status = read_value(&entry->value, arena, depth, &fields[i].value);
    }
    ret->fields = fields;
    ret->count = count;
    return status;
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
