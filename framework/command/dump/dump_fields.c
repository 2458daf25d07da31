/* dump_fields.c - the headers of a dump file: values of every type, in tables and arrays. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/real.h"
#include "base/suggest.h"
#include "command/dump/dump_format.h"
#include "command/dump/dump_values.h"

/* Bytes of a name, as AMQP 0-9-1 has it (shortstr). */
#define NAME_MAX_BYTES 255

static const enum warren_type types[] = {
    WARREN_VOID,  WARREN_BOOL,   WARREN_I8,    WARREN_U8,    WARREN_I16,       WARREN_U16,
    WARREN_I32,   WARREN_U32,    WARREN_I64,   WARREN_F32,   WARREN_F64,       WARREN_DECIMAL,
    WARREN_BYTES, WARREN_STRING, WARREN_ARRAY, WARREN_TABLE, WARREN_TIMESTAMP,
};

#define TYPE_COUNT (sizeof types / sizeof types[0])

static bool read_type(struct dump_reader *reader, const json_t *object, enum warren_type *ret)
{
    const json_t *value = json_object_get(object, "type");
    const char *word = json_string_value(value);
    const char *names[TYPE_COUNT];
    const char *near;
    char expected[64] = "a type such as string, i64, or table";

    for (size_t i = 0; i < TYPE_COUNT; i++) {
        names[i] = warren_type_name(types[i]);
        if (word && strcmp(word, names[i]) == 0) {
            *ret = types[i];
            return true;
        }
    }
    near = word ? suggest(word, names, TYPE_COUNT) : NULL;
    if (near)
        snprintf(expected, sizeof expected, "a type (did you mean %s?)", near);
    dump_enter(reader, "type");
    return dump_wrong(reader, expected, value);
}

static bool read_real(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    const json_t *value = json_object_get(object, "value");
    double real = json_number_value(value);

    dump_enter(reader, "value");
    if (!json_is_number(value))
        return dump_wrong(reader, "a number", value);
    if (!real_fits(ret->type, real))
        return dump_wrong(reader, "a number that fits 32 bits", value);
    ret->as.real = ret->type == WARREN_F32 ? (double)(float)real : real;
    dump_leave(reader);
    return true;
}

static bool read_decimal(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    static const char *const members[] = {"scale", "unscaled", NULL};
    const json_t *value = json_object_get(object, "value");
    int64_t scale = -1;
    int64_t unscaled = -1;

    dump_enter(reader, "value");
    if (!dump_members(reader, value, members) ||
        !dump_integer(reader, value, "scale", 0, UINT8_MAX, &scale) ||
        !dump_integer(reader, value, "unscaled", 0, UINT32_MAX, &unscaled))
        return false;
    if (scale < 0 || unscaled < 0)
        return dump_wrong(reader, "{\"scale\": S, \"unscaled\": U}", value);
    ret->as.decimal.scale = (uint8_t)scale;
    ret->as.decimal.unscaled = (uint32_t)unscaled;
    dump_leave(reader);
    return true;
}

static bool read_value(struct dump_reader *reader, const json_t *object, struct warren_value *ret);

static bool enter_item(struct dump_reader *reader, size_t index)
{
    char key[32];

    snprintf(key, sizeof key, "[%zu]", index);
    dump_enter(reader, key);
    return true;
}

static void *room(struct dump_reader *reader, const json_t *list, size_t size)
{
    void *memory;

    if (++reader->depth > WARREN_NESTING_MAX) {
        reader->status = error_set(reader->error, WARREN_EINVAL,
                                   "%s: %s: nested deeper than %d tables and arrays", reader->path,
                                   reader->where, WARREN_NESTING_MAX);
        return NULL;
    }
    if (!json_is_array(list)) {
        dump_wrong(reader, "a list", list);
        return NULL;
    }
    memory = arena_alloc(reader->arena, json_array_size(list) * size);
    if (!memory)
        reader->status =
            error_set(reader->error, WARREN_ENOMEM, "cannot read %s: no memory", reader->path);
    return memory;
}

static bool read_array(struct dump_reader *reader, const json_t *list, struct warren_array *ret)
{
    static const char *const members[] = {"type", "value", "value" DUMP_BASE64, NULL};
    struct warren_value *values = room(reader, list, sizeof *values);

    if (!values)
        return false;
    ret->values = values;
    ret->count = json_array_size(list);
    for (size_t i = 0; i < ret->count; i++) {
        const json_t *object = json_array_get(list, i);

        enter_item(reader, i);
        if (!dump_members(reader, object, members) || !read_value(reader, object, &values[i]))
            return false;
        dump_leave(reader);
    }
    reader->depth--;
    return true;
}

static bool read_field(struct dump_reader *reader, const json_t *object, struct warren_field *ret)
{
    static const char *const members[] = {"name",  "name" DUMP_BASE64,  "type",
                                          "value", "value" DUMP_BASE64, NULL};

    ret->name = NULL;
    if (!dump_members(reader, object, members) ||
        !dump_text(reader, object, "name", NAME_MAX_BYTES, &ret->name))
        return false;
    if (!ret->name)
        return dump_missing(reader, "name", "the header's name");
    return read_value(reader, object, &ret->value);
}

bool dump_table(struct dump_reader *reader, const json_t *list, struct warren_table *ret)
{
    struct warren_field *fields = room(reader, list, sizeof *fields);

    if (!fields)
        return false;
    ret->fields = fields;
    ret->count = json_array_size(list);
    for (size_t i = 0; i < ret->count; i++) {
        enter_item(reader, i);
        if (!read_field(reader, json_array_get(list, i), &fields[i]))
            return false;
        dump_leave(reader);
    }
    reader->depth--;
    return true;
}

static bool read_nested(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    const json_t *list = json_object_get(object, "value");
    bool good;

    dump_enter(reader, "value");
    if (ret->type == WARREN_TABLE)
        good = dump_table(reader, list, &ret->as.table);
    else
        good = read_array(reader, list, &ret->as.array);
    if (good)
        dump_leave(reader);
    return good;
}

static bool read_integer(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    static const struct {
        enum warren_type type;
        int64_t min;
        int64_t max;
    } ranges[] = {
        {WARREN_I8, INT8_MIN, INT8_MAX},    {WARREN_U8, 0, UINT8_MAX},
        {WARREN_I16, INT16_MIN, INT16_MAX}, {WARREN_U16, 0, UINT16_MAX},
        {WARREN_I32, INT32_MIN, INT32_MAX}, {WARREN_U32, 0, UINT32_MAX},
        {WARREN_I64, INT64_MIN, INT64_MAX},
    };
    size_t i = 0;

    while (ranges[i].type != ret->type)
        i++;
    return dump_integer(reader, object, "value", ranges[i].min, ranges[i].max, &ret->as.integer);
}

static bool read_bytes(struct dump_reader *reader, const json_t *object, struct warren_bytes *ret)
{
    bool there;

    return dump_bytes(reader, object, "value", ret, &there) &&
           (there || dump_missing(reader, "value", "a text, or base64 under value_base64"));
}

/* All but texts need their member, and it is no base64. */
static bool has_value(struct dump_reader *reader, const json_t *object, enum warren_type type)
{
    if (type == WARREN_STRING || type == WARREN_BYTES || type == WARREN_VOID)
        return true;
    if (json_object_get(object, "value" DUMP_BASE64)) {
        dump_enter(reader, "value" DUMP_BASE64);
        return dump_wrong(reader, "no base64 with this type",
                          json_object_get(object, "value" DUMP_BASE64));
    }
    return json_object_get(object, "value") ||
           dump_missing(reader, "value", "a value of the type above");
}

static bool read_void(struct dump_reader *reader, const json_t *object)
{
    const json_t *value = json_object_get(object, "value");

    if (!value)
        value = json_object_get(object, "value" DUMP_BASE64);
    if (!value || json_is_null(value))
        return true;
    dump_enter(reader, "value");
    return dump_wrong(reader, "no value with type void", value);
}

static bool read_value(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!read_type(reader, object, &ret->type) || !has_value(reader, object, ret->type))
        return false;
    switch (ret->type) {
    case WARREN_VOID:
        return read_void(reader, object);
    case WARREN_BOOL:
        return dump_bool(reader, object, "value", &ret->as.boolean);
    case WARREN_F32:
    case WARREN_F64:
        return read_real(reader, object, ret);
    case WARREN_DECIMAL:
        return read_decimal(reader, object, ret);
    case WARREN_STRING:
    case WARREN_BYTES:
        return read_bytes(reader, object, &ret->as.bytes);
    case WARREN_TIMESTAMP:
        return dump_timestamp(reader, object, "value", &ret->as.timestamp);
    case WARREN_ARRAY:
    case WARREN_TABLE:
        return read_nested(reader, object, ret);
    default:
        return read_integer(reader, object, ret);
    }
}
