#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"

static enum warren_status read_value(struct config_scope *scope, const struct config_node *node,
                                     unsigned depth, struct warren_value *value);

/* Every character of @text is one of @set; the empty text is not. */
static bool consists_of(const char *text, const char *set)
{
    return *text && !text[strspn(text, set)];
}

static const char *without_sign(const char *text)
{
    return text + (*text == '-' || *text == '+');
}

static bool is_real(const char *text)
{
    const char *digits = without_sign(text);

    return strpbrk(digits, "0123456789") && consists_of(digits, "0123456789.eE+-") &&
           strpbrk(digits, ".eE") && *digits != 'e' && *digits != 'E';
}

static enum warren_status read_plain(struct config_scope *scope, const struct config_node *node,
                                     struct warren_value *value)
{
    const char *text = node->text;
    char *end;

    if (config_node_empty(node)) {
        value->type = WARREN_VOID;
    } else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        value->type = WARREN_BOOL;
        value->as.boolean = *text == 't';
    } else if (consists_of(without_sign(text), "0123456789")) {
        errno = 0;
        value->type = WARREN_I64;
        value->as.integer = strtoll(text, NULL, 10);
        if (errno)
            return config_fail(scope, node,
                               "the number does not fit into 64 bits; put it into "
                               "quotes to make it a text");
    } else if (is_real(text)) {
        /* The whole program runs in the C locale, so the point is a point. */
        double real = c_strtod(text, &end);

        if (!*end && isfinite(real)) {
            value->type = WARREN_F64;
            value->as.real = real;
        }
    }
    return WARREN_OK;
}

static enum warren_status read_scalar(struct config_scope *scope, const struct config_node *node,
                                      struct warren_value *value)
{
    value->type = WARREN_STRING;
    value->as.bytes = warren_text(node->text);
    return node->plain ? read_plain(scope, node, value) : WARREN_OK;
}

static enum warren_status read_array(struct config_scope *scope, const struct config_node *node,
                                     unsigned depth, struct warren_array *array)
{
    struct warren_value *values = arena_alloc(scope->arena, node->count * sizeof *values);
    enum warren_status status = WARREN_OK;

    if (!values)
        return config_nomem(scope);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i++)
        status = read_value(scope, node->items[i], depth + 1, &values[i]);
    array->values = values;
    array->count = node->count;
    return status;
}

static enum warren_status read_table(struct config_scope *scope, const struct config_node *node,
                                     unsigned depth, struct warren_table *table)
{
    size_t count = node->count / 2;
    struct warren_field *fields = arena_alloc(scope->arena, count * sizeof *fields);
    enum warren_status status = WARREN_OK;

    if (!fields)
        return config_nomem(scope);
    for (size_t i = 0; i < count && status == WARREN_OK; i++) {
        const struct config_node *key = node->items[2 * i];

        status = config_check_name(scope, key, "the name of an argument", key->text);
        fields[i].name = key->text;
        if (status == WARREN_OK)
            status = read_value(scope, node->items[2 * i + 1], depth + 1, &fields[i].value);
    }
    table->fields = fields;
    table->count = count;
    return status;
}

static enum warren_status read_value(struct config_scope *scope, const struct config_node *node,
                                     unsigned depth, struct warren_value *value)
{
    memset(value, 0, sizeof *value);
    if (depth > WARREN_NESTING_MAX)
        return config_fail(scope, node, "arguments nest deeper than %d levels", WARREN_NESTING_MAX);
    switch (node->kind) {
    case CONFIG_SEQUENCE:
        value->type = WARREN_ARRAY;
        return read_array(scope, node, depth, &value->as.array);
    case CONFIG_MAPPING:
        value->type = WARREN_TABLE;
        return read_table(scope, node, depth, &value->as.table);
    case CONFIG_SCALAR:
        break;
    }
    return read_scalar(scope, node, value);
}

enum warren_status config_arguments_read(struct config_scope *scope, const struct config_node *node,
                                         struct warren_table *table)
{
    memset(table, 0, sizeof *table);
    if (!node || config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_MAPPING)
        return config_fail(scope, node, "arguments must be a mapping (key: value)");
    return read_table(scope, node, 1, table);
}
