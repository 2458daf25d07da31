#include "command/cli/header_argument.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "base/real.h"
#include "base/suggest.h"

/* The types that a word can hold. For numbers the range. */
static const struct {
    enum warren_type type;
    int64_t min;
    int64_t max;
} types[] = {
    {WARREN_STRING, 0, 0},
    {WARREN_BOOL, 0, 0},
    {WARREN_I8, INT8_MIN, INT8_MAX},
    {WARREN_U8, 0, UINT8_MAX},
    {WARREN_I16, INT16_MIN, INT16_MAX},
    {WARREN_U16, 0, UINT16_MAX},
    {WARREN_I32, INT32_MIN, INT32_MAX},
    {WARREN_U32, 0, UINT32_MAX},
    {WARREN_I64, INT64_MIN, INT64_MAX},
    {WARREN_F32, 0, 0},
    {WARREN_F64, 0, 0},
    {WARREN_TIMESTAMP, 0, INT64_MAX},
    {WARREN_VOID, 0, 0},
};

#define TYPE_COUNT (sizeof types / sizeof *types)

static enum warren_status unknown_type(const char *word, struct warren_error *error)
{
    const char *names[TYPE_COUNT];
    const char *near;

    for (size_t i = 0; i < TYPE_COUNT; i++)
        names[i] = warren_type_name(types[i].type);
    near = suggest(word, names, TYPE_COUNT);
    if (near)
        return error_set(error, WARREN_EINVAL, "unknown type \"%s\"; did you mean \"%s\"?", word,
                         near);
    return error_set(error, WARREN_EINVAL,
                     "unknown type \"%s\" (a name with a colon is written NAME:string=TEXT)", word);
}

static bool is_real(enum warren_type type)
{
    return type == WARREN_F32 || type == WARREN_F64;
}

static enum warren_status bad_value(const char *value, size_t i, struct warren_error *error)
{
    if (types[i].max != 0)
        return error_set(error, WARREN_EINVAL,
                         "\"%s\" is no %s, a whole number from %" PRId64 " to %" PRId64, value,
                         warren_type_name(types[i].type), types[i].min, types[i].max);
    return error_set(error, WARREN_EINVAL, "\"%s\" is no %s%s", value,
                     warren_type_name(types[i].type),
                     is_real(types[i].type) ? ", a finite number" : "");
}

static bool parse_integer(const char *text, size_t i, int64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *ret >= types[i].min && *ret <= types[i].max;
}

static bool parse_value(const char *text, size_t i, struct warren_value *value)
{
    int64_t number;
    char *end;

    switch (types[i].type) {
    case WARREN_STRING:
        value->as.bytes = warren_text(text);
        return true;
    case WARREN_BOOL:
        value->as.boolean = strcmp(text, "true") == 0;
        return value->as.boolean || strcmp(text, "false") == 0;
    case WARREN_F32:
    case WARREN_F64:
        value->as.real = c_strtod(text, &end);
        return end != text && !*end && real_fits(value->type, value->as.real);
    case WARREN_TIMESTAMP:
        if (!parse_integer(text, i, &number))
            return false;
        value->as.timestamp = (uint64_t)number;
        return true;
    case WARREN_VOID:
        return !*text;
    default:
        return parse_integer(text, i, &value->as.integer);
    }
}

enum warren_status header_argument_parse(struct arena *arena, const char *text,
                                         struct warren_field *field, struct warren_error *error)
{
    const char *equals = strchr(text, '=');
    char *name = arena_text(arena, text, equals ? (size_t)(equals - text) : strlen(text));
    char *colon = name ? strrchr(name, ':') : NULL;
    const char *type = "string";

    if (!name)
        return error_set(error, WARREN_ENOMEM, "no memory");
    if (!equals)
        return error_set(error, WARREN_EINVAL, "it is written NAME=TEXT or NAME:TYPE=VALUE");
    if (colon) {
        *colon = '\0';
        type = colon + 1;
    }
    if (!*name || strlen(name) > 255)
        return error_set(error, WARREN_EINVAL, "a name has 1 to 255 bytes");
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(type, warren_type_name(types[i].type)) != 0)
            continue;
        memset(field, 0, sizeof *field);
        field->name = name;
        field->value.type = types[i].type;
        return parse_value(equals + 1, i, &field->value) ? WARREN_OK
                                                         : bad_value(equals + 1, i, error);
    }
    return unknown_type(type, error);
}
