#include "command/cli/header_argument.h"

#include <inttypes.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "base/integer_type.h"
#include "base/real.h"
#include "base/suggest.h"
#include "command/cli/cli.h"

/* The types that a word can hold. */
static const enum warren_type types[] = {
    WARREN_STRING, WARREN_BOOL, WARREN_I8,  WARREN_U8,  WARREN_I16,       WARREN_U16, WARREN_I32,
    WARREN_U32,    WARREN_I64,  WARREN_F32, WARREN_F64, WARREN_TIMESTAMP, WARREN_VOID};

#define TYPE_COUNT (sizeof types / sizeof *types)

static enum warren_status unknown_type(const char *word, struct warren_error *error)
{
    const char *names[TYPE_COUNT];
    const char *near;

    for (size_t i = 0; i < TYPE_COUNT; i++)
        names[i] = warren_type_name(types[i]);
    near = suggest(word, names, TYPE_COUNT);
    if (near)
        return error_set(error, WARREN_EINVAL, "unknown type \"%s\"; did you mean \"%s\"?", word,
                         near);
    return error_set(error, WARREN_EINVAL,
                     "unknown type \"%s\" (a name with a colon is written NAME:string=TEXT)", word);
}

/* What a whole number has to lie between; a timestamp is one, too. */
static const struct integer_type *range_of(enum warren_type type)
{
    static const struct integer_type timestamp = {WARREN_TIMESTAMP, 0, INT64_MAX};

    return type == WARREN_TIMESTAMP ? &timestamp : integer_type(type);
}

static enum warren_status bad_value(const char *text, enum warren_type type,
                                    struct warren_error *error)
{
    const struct integer_type *range = range_of(type);
    bool real = type == WARREN_F32 || type == WARREN_F64;

    if (range)
        return error_set(error, WARREN_EINVAL,
                         "\"%s\" is no %s, a whole number from %" PRId64 " to %" PRId64, text,
                         warren_type_name(type), range->min, range->max);
    return error_set(error, WARREN_EINVAL, "\"%s\" is no %s%s", text, warren_type_name(type),
                     real ? ", a finite number" : "");
}

static bool parse_integer(const char *text, struct warren_value *value)
{
    const struct integer_type *range = range_of(value->type);
    int64_t number;
    bool good = cli_parse_number(text, range->min, range->max, &number);

    if (value->type == WARREN_TIMESTAMP)
        value->as.timestamp = (uint64_t)number;
    else
        value->as.integer = number;
    return good;
}

static bool parse_value(const char *text, struct warren_value *value)
{
    char *end;

    switch (value->type) {
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
    case WARREN_VOID:
        return !*text;
    default:
        return parse_integer(text, value);
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
        if (strcmp(type, warren_type_name(types[i])) != 0)
            continue;
        memset(field, 0, sizeof *field);
        field->name = name;
        field->value.type = types[i];
        return parse_value(equals + 1, &field->value) ? WARREN_OK
                                                      : bad_value(equals + 1, types[i], error);
    }
    return unknown_type(type, error);
}
