#include "command/cli/header_argument.h"

#include <inttypes.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "base/field_type.h"
#include "base/real.h"
#include "base/suggest.h"
#include "command/cli/cli.h"

/* Whether a word can hold such a value. */
static bool fits_a_word(const struct field_type *type)
{
    return type->type == WARREN_STRING ||
           (type->form != FIELD_DECIMAL && !field_type_has_length(type));
}

static enum warren_status unknown_type(const char *word, struct warren_error *error)
{
    const char *names[FIELD_TYPE_COUNT];
    size_t count = 0;
    const char *near;

    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++)
        if (fits_a_word(&field_types[i]))
            names[count++] = field_types[i].name;
    near = suggest(word, names, count);
    if (near)
        return error_set(error, WARREN_EINVAL, "unknown type \"%s\"; did you mean \"%s\"?", word,
                         near);
    return error_set(error, WARREN_EINVAL,
                     "unknown type \"%s\" (a name with a colon is written NAME:string=TEXT)", word);
}

static int64_t max_of(const struct field_type *type)
{
    return type->form == FIELD_TIMESTAMP ? INT64_MAX : type->max;
}

static enum warren_status bad_value(const char *value, const struct field_type *type,
                                    struct warren_error *error)
{
    if (max_of(type) != 0)
        return error_set(error, WARREN_EINVAL,
                         "\"%s\" is no %s, a whole number from %" PRId64 " to %" PRId64, value,
                         type->name, type->min, max_of(type));
    return error_set(error, WARREN_EINVAL, "\"%s\" is no %s%s", value, type->name,
                     type->form == FIELD_REAL ? ", a finite number" : "");
}

static bool parse_integer(const char *text, const struct field_type *type, int64_t *ret)
{
    return cli_parse_number(text, type->min, max_of(type), ret);
}

static bool parse_value(const char *text, const struct field_type *type, struct warren_value *value)
{
    int64_t number;
    char *end;

    switch (type->form) {
    case FIELD_BYTES:
        value->as.bytes = warren_text(text);
        return true;
    case FIELD_BOOL:
        value->as.boolean = strcmp(text, "true") == 0;
        return value->as.boolean || strcmp(text, "false") == 0;
    case FIELD_REAL:
        value->as.real = c_strtod(text, &end);
        return end != text && !*end && real_fits(value->type, value->as.real);
    case FIELD_TIMESTAMP:
        if (!parse_integer(text, type, &number))
            return false;
        value->as.timestamp = (uint64_t)number;
        return true;
    case FIELD_INTEGER:
        return parse_integer(text, type, &value->as.integer);
    default: /* void */
        return !*text;
    }
}

enum warren_status header_argument_parse(struct arena *arena, const char *text,
                                         struct warren_field *field, struct warren_error *error)
{
    const char *equals = strchr(text, '=');
    char *name = arena_text(arena, text, equals ? (size_t)(equals - text) : strlen(text));
    char *colon = name ? strrchr(name, ':') : NULL;
    const struct field_type *type = NULL;
    const char *word = "string";

    if (!name)
        return error_set(error, WARREN_ENOMEM, "no memory");
    if (!equals)
        return error_set(error, WARREN_EINVAL, "it is written NAME=TEXT or NAME:TYPE=VALUE");
    if (colon) {
        *colon = '\0';
        word = colon + 1;
    }
    if (!*name || strlen(name) > 255)
        return error_set(error, WARREN_EINVAL, "a name has 1 to 255 bytes");
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++)
        if (fits_a_word(&field_types[i]) && strcmp(word, field_types[i].name) == 0)
            type = &field_types[i];
    if (!type)
        return unknown_type(word, error);
    memset(field, 0, sizeof *field);
    field->name = name;
    field->value.type = type->type;
    return parse_value(equals + 1, type, &field->value) ? WARREN_OK
                                                        : bad_value(equals + 1, type, error);
}
