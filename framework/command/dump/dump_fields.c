/* dump_fields.c - the headers of a dump file: values of every type, in tables and arrays. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/field_type.h"
#include "base/real.h"
#include "base/suggest.h"
#include "command/dump/dump_private.h"

static dump_take_fn take_void, take_real, take_decimal, take_array;

#define A_TEXT "a text, or base64 under value_base64"

/* How the values of each form are read; all are at the beginning of the union `as`. */
static dump_take_fn *const takers[] = {
    [FIELD_VOID] = take_void,
    [FIELD_BOOL] = dump_take_bool,
    [FIELD_INTEGER] = dump_take_integer,
    [FIELD_REAL] = take_real,
    [FIELD_DECIMAL] = take_decimal,
    [FIELD_TIMESTAMP] = dump_take_timestamp,
    [FIELD_BYTES] = dump_take_bytes,
    [FIELD_ARRAY] = take_array,
    [FIELD_TABLE] = dump_take_table,
};

static const struct field_type *find_type(struct dump_reader *reader, const json_t *object)
{
    const json_t *value = json_object_get(object, "type");
    const char *word = json_string_value(value);
    const char *names[FIELD_TYPE_COUNT];
    const char *near;
    char expected[64] = "a type such as string, i64, or table";

    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++) {
        names[i] = field_types[i].name;
        if (word && strcmp(word, names[i]) == 0)
            return &field_types[i];
    }
    near = word ? suggest(word, names, FIELD_TYPE_COUNT) : NULL;
    if (near)
        snprintf(expected, sizeof expected, "a type (did you mean %s?)", near);
    dump_enter(reader, "type");
    dump_wrong(reader, expected, value);
    return NULL;
}

/* Only texts have base64; void has the error that it has a value. */
static bool is_encoded_in_vain(struct dump_reader *reader, const json_t *object,
                               const struct field_type *type)
{
    const json_t *encoded = json_object_get(object, "value" DUMP_BASE64);

    if (!encoded || type->form == FIELD_BYTES || type->form == FIELD_VOID)
        return false;
    dump_enter(reader, "value" DUMP_BASE64);
    dump_wrong(reader, "no base64 with this type", encoded);
    return true;
}

static bool read_value(struct dump_reader *reader, const json_t *object, struct warren_value *ret)
{
    const struct field_type *type = find_type(reader, object);
    struct dump_member value = {.key = "value", .size = sizeof ret->as.integer};

    if (!type || is_encoded_in_vain(reader, object, type))
        return false;
    memset(ret, 0, sizeof *ret);
    ret->type = value.type = type->type;
    value.take = takers[type->form];
    value.min = type->min;
    value.max = type->max;
    if (type->form != FIELD_VOID)
        value.required = type->form == FIELD_BYTES ? A_TEXT : "a value of the type above";
    if (type->form == FIELD_BYTES || type->form == FIELD_VOID)
        value.base64 = "value" DUMP_BASE64;
    return dump_take(reader, object, &value, &ret->as);
}

static bool take_void(struct dump_reader *reader, const json_t *value,
                      const struct dump_member *member, void *to)
{
    (void)member;
    (void)to;
    return json_is_null(value) || dump_wrong(reader, "no value with type void", value);
}

static bool take_real(struct dump_reader *reader, const json_t *value,
                      const struct dump_member *member, void *to)
{
    double real = json_number_value(value);

    if (!json_is_number(value))
        return dump_wrong(reader, "a number", value);
    if (!real_fits(member->type, real))
        return dump_wrong(reader, "a number that fits 32 bits", value);
    *(double *)to = member->type == WARREN_F32 ? (double)(float)real : real;
    return true;
}

static bool take_decimal(struct dump_reader *reader, const json_t *value,
                         const struct dump_member *member, void *to)
{
    static const struct dump_member members[] = {
        {DUMP_MEMBER("scale", dump_take_integer, struct warren_value, as.decimal.scale),
         .max = UINT8_MAX},
        {DUMP_MEMBER("unscaled", dump_take_integer, struct warren_value, as.decimal.unscaled),
         .max = UINT32_MAX},
        {.key = NULL}};
    struct warren_value *ret = (void *)((char *)to - offsetof(struct warren_value, as));

    (void)member;
    if (!dump_object(reader, value, members, ret))
        return false;
    return json_object_size(value) == 2 ||
           dump_wrong(reader, "{\"scale\": S, \"unscaled\": U}", value);
}

/* ---- lists ---- */

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
        dump_no_memory(reader);
    return memory;
}

/* Each item of @list, an object with @members, is a value at @value in @items, which are of @size
 * bytes. */
static bool read_items(struct dump_reader *reader, const json_t *list,
                       const struct dump_member *members, char *items, size_t size, size_t value)
{
    for (size_t i = 0; i < json_array_size(list); i++, items += size) {
        const json_t *object = json_array_get(list, i);
        char key[32];

        snprintf(key, sizeof key, "[%zu]", i);
        dump_enter(reader, key);
        if (!dump_object(reader, object, members, items) ||
            !read_value(reader, object, (void *)(items + value)))
            return false;
        dump_leave(reader);
    }
    reader->depth--;
    return true;
}

static bool take_array(struct dump_reader *reader, const json_t *list,
                       const struct dump_member *member, void *to)
{
    static const struct dump_member members[] = {
        {.key = "type"}, {.key = "value", .base64 = "value" DUMP_BASE64}, {.key = NULL}};
    struct warren_array *ret = to;
    struct warren_value *values = room(reader, list, sizeof *values);

    (void)member;
    ret->values = values;
    ret->count = json_array_size(list);
    return values && read_items(reader, list, members, (char *)values, sizeof *values, 0);
}

bool dump_take_table(struct dump_reader *reader, const json_t *list,
                     const struct dump_member *member, void *to)
{
    static const struct dump_member members[] = {
        {DUMP_TEXT("name", dump_take_text, DUMP_SHORT_MAX, struct warren_field, name),
         .required = "the header's name"},
        {.key = "type"},
        {.key = "value", .base64 = "value" DUMP_BASE64},
        {.key = NULL}};
    struct warren_table *ret = to;
    struct warren_field *fields = room(reader, list, sizeof *fields);

    (void)member;
    ret->fields = fields;
    ret->count = json_array_size(list);
    return fields && read_items(reader, list, members, (char *)fields, sizeof *fields,
                                offsetof(struct warren_field, value));
}
