#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/suggest.h"
#include "config/secret.h"

#define CHOICES_MAX   32
#define CHOICE_SIZE   64
#define EXPECTED_SIZE 192

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first, so that a number is written with the largest unit that divides it. */
static const struct unit sizes[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {NULL, 0}};

/* What each type is called, and what is expected where something else is written. */
static const struct {
    const char *name;
    const char *expected;
} types[] = {
    [WARREN_OPTION_BOOL] = {"true or false", "true or false"},
    [WARREN_OPTION_INT] = {"whole number", "a whole number"},
    [WARREN_OPTION_SIZE] = {"size", "a size such as 512, 64KiB or 1GiB"},
    [WARREN_OPTION_DURATION] = {"duration", "a duration such as 250ms, 30s or 5m"},
    [WARREN_OPTION_STRING] = {"text", "a text"},
    [WARREN_OPTION_PATH] = {"file name", "a file name"},
    [WARREN_OPTION_ENUM] = {"word", "one of "},
    [WARREN_OPTION_LIST] = {"list of texts", "a text or a list of texts"},
    [WARREN_OPTION_PATHS] = {"list of file names", "a file name or a list of file names"},
    [WARREN_OPTION_RANGE] = {"whole number or range",
                             "a whole number or a range, the least first, such as 2-32"},
    [WARREN_OPTION_ARGUMENTS] = {"mapping", ""},
    [WARREN_OPTION_MAPPING] = {"mapping", ""},
    [WARREN_OPTION_CHAIN] = {"list", ""},
};

const char *config_type_name(enum warren_option_type type)
{
    bool known = type >= WARREN_OPTION_BOOL && type < sizeof types / sizeof *types;

    return known && types[type].name ? types[type].name : "unknown";
}

void config_value_number(enum warren_option_type type, int64_t number, char *text, size_t size)
{
    const struct unit *unit = type == WARREN_OPTION_DURATION ? durations : sizes;

    if (type == WARREN_OPTION_INT || (int)type == WARREN_OPTION_RANGE || number == 0) {
        snprintf(text, size, "%" PRId64, number);
        return;
    }
    while (unit->factor > 1 && number % unit->factor != 0)
        unit++;
    snprintf(text, size, "%" PRId64 "%s", number / unit->factor, unit->name);
}

void config_value_numbers(enum warren_option_type type, const struct config_value *value,
                          char *text, size_t size)
{
    if ((int)type == WARREN_OPTION_RANGE && value->least != value->integer)
        snprintf(text, size, "%" PRId64 "-%" PRId64, value->least, value->integer);
    else
        config_value_number(type, value->integer, text, size);
}

/* What may be written, such as "a whole number, from 1 to 65535". */
static void write_expected(const struct warren_option *option, char *text, size_t size)
{
    char min[CONFIG_NUMBER_SIZE];
    char max[CONFIG_NUMBER_SIZE];
    size_t len = (size_t)snprintf(text, size, "%s", types[option->type].expected);

    if (option->type == WARREN_OPTION_ENUM) {
        for (const char *c = option->choices; *c && len + 3 < size; c++)
            len += (size_t)(*c == '|' ? sprintf(text + len, ", ") : sprintf(text + len, "%c", *c));
    } else if (option->min || option->max) {
        config_value_number(option->type, option->min, min, sizeof min);
        config_value_number(option->type, option->max, max, sizeof max);
        snprintf(text + len, size - len, ", from %s to %s", min, max);
    }
}

/* "; did you mean 'WORD'?", or nothing if none is near. */
static void suggest_choice(const char *word, const char *choices, char *text, size_t size)
{
    char words[CHOICES_MAX][CHOICE_SIZE];
    const char *list[CHOICES_MAX];
    const char *choice;
    size_t count = 0;
    size_t len;

    for (; count < CHOICES_MAX && (len = choices_next(&choices, &choice)) > 0; count++) {
        snprintf(words[count], CHOICE_SIZE, "%.*s", (int)len, choice);
        list[count] = words[count];
    }
    choice = suggest(word, list, count);
    snprintf(text, size, "%s%s%s", choice ? "; did you mean '" : "", choice ? choice : "",
             choice ? "'?" : "");
}

static bool parse_digits(const char **text, int64_t *ret)
{
    const char *p = *text;
    int64_t number = 0;

    if (!ascii_is_digit(*p))
        return false;
    for (; ascii_is_digit(*p); p++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *p - '0', &number))
            return false;
    *text = p;
    *ret = number;
    return true;
}

static bool parse_int(const char *text, int64_t *ret)
{
    bool negative = *text == '-';

    if (*text == '-' || *text == '+')
        text++;
    if (!parse_digits(&text, ret) || *text)
        return false;
    if (negative)
        *ret = -*ret;
    return true;
}

static bool parse_with_unit(const char *text, const struct unit *unit, int64_t *ret)
{
    if (!parse_digits(&text, ret))
        return false;
    while (*text == ' ')
        text++;
    if (!*text && *ret == 0)
        return true; /* zero is zero in every unit */
    for (; unit->name; unit++)
        if (strcmp(text, unit->name) == 0)
            return !__builtin_mul_overflow(*ret, unit->factor, ret);
    return false;
}

bool config_duration_parse(const char *text, int64_t *ret_ms)
{
    return parse_with_unit(text, durations, ret_ms);
}

static bool in_range(const struct warren_option *option, int64_t number)
{
    return (!option->min && !option->max) || (number >= option->min && number <= option->max);
}

static bool parse_number(const struct warren_option *option, const char *text, int64_t *ret)
{
    bool ok = option->type == WARREN_OPTION_INT    ? parse_int(text, ret)
              : option->type == WARREN_OPTION_SIZE ? parse_with_unit(text, sizes, ret)
                                                   : parse_with_unit(text, durations, ret);

    return ok && in_range(option, *ret);
}

/* "4", or "2-32". */
static bool parse_range(const struct warren_option *option, const char *text,
                        struct config_value *value)
{
    int64_t least;
    int64_t most;

    if (parse_int(text, &most)) {
        least = most;
    } else {
        if (!parse_digits(&text, &least) || *text++ != '-' || !parse_digits(&text, &most) || *text)
            return false;
    }
    value->least = least;
    value->integer = most;
    return least <= most && in_range(option, least) && in_range(option, most);
}

static bool parse_bool(const char *text, bool *ret)
{
    *ret = strcmp(text, "true") == 0;
    return *ret || strcmp(text, "false") == 0;
}

/* Something is written where it cannot be; say what and what was expected. */
static enum warren_status refuse(struct config_scope *scope, const struct warren_option *option,
                                 const char *name, bool secret, const struct config_node *node)
{
    static const char *const kinds[] = {"", "a list", "a mapping"};
    char expected[EXPECTED_SIZE];
    char word[CONFIG_WORD_SIZE];
    char near[CHOICE_SIZE + 20] = "";

    write_expected(option, expected, sizeof expected);
    if (node->kind != CONFIG_SCALAR)
        return config_fail(scope, node, "%s is %s, expected %s", name, kinds[node->kind], expected);
    if (secret)
        return config_fail(scope, node, "%s is wrong, expected %s", name, expected);
    if (!*node->text)
        return config_fail(scope, node, "%s is empty, expected %s", name, expected);
    if (option->type == WARREN_OPTION_ENUM)
        suggest_choice(node->text, option->choices, near, sizeof near);
    return config_fail(scope, node, "%s is '%s', expected %s%s", name,
                       config_mask(node->text, word, sizeof word), expected, near);
}

/*
 * A relative @path relative to @source's folder, in the arena. "" (none) and "-" (a standard
 * stream) stay. NULL if memory ran out.
 */
static const char *join_path(struct config_scope *scope, const struct config_source *source,
                             const char *path)
{
    size_t folder_len = strlen(source->folder);
    size_t len = strlen(path);
    char *joined;

    if (!*path || *path == '/' || strcmp(path, "-") == 0)
        return path;
    joined = arena_alloc(scope->arena, folder_len + len + 1);
    if (joined) {
        memcpy(joined, source->folder, folder_len);
        memcpy(joined + folder_len, path, len + 1);
    }
    return joined;
}

static enum warren_status parse_list(struct config_scope *scope, const struct warren_option *option,
                                     const char *name, bool secret, const struct config_node *node,
                                     struct config_value *value)
{
    bool single = node->kind == CONFIG_SCALAR;
    size_t count = single ? 1 : node->count;
    const char **list;

    value->list = NULL;
    value->count = 0;
    if (node->kind == CONFIG_MAPPING)
        return refuse(scope, option, name, secret, node);
    if (!count || config_node_empty(node))
        return WARREN_OK;
    list = arena_alloc(scope->arena, count * sizeof *list);
    if (!list)
        return config_nomem(scope);
    for (size_t i = 0; i < count; i++) {
        const struct config_node *item = single ? node : node->items[i];

        if (item->kind != CONFIG_SCALAR)
            return refuse(scope, option, name, secret, item);
        if (!*item->text || (!single && config_node_empty(item)))
            return config_fail(scope, item, "%s has an empty entry", name);
        list[i] = (int)option->type == WARREN_OPTION_PATHS
                      ? join_path(scope, item->source, item->text)
                      : item->text;
        if (!list[i])
            return config_nomem(scope);
    }
    value->list = list;
    value->count = count;
    return WARREN_OK;
}

enum warren_status config_value_parse(struct config_scope *scope,
                                      const struct warren_option *option, const char *name,
                                      bool secret, const struct config_node *node,
                                      struct config_value *value)
{
    bool ok = node->kind == CONFIG_SCALAR;

    value->node = node;
    switch ((int)option->type) {
    case WARREN_OPTION_BOOL:
        ok = ok && parse_bool(node->text, &value->boolean);
        break;
    case WARREN_OPTION_INT:
    case WARREN_OPTION_SIZE:
    case WARREN_OPTION_DURATION:
        ok = ok && parse_number(option, node->text, &value->integer);
        break;
    case WARREN_OPTION_RANGE:
        ok = ok && parse_range(option, node->text, value);
        break;
    case WARREN_OPTION_ENUM:
        value->text = node->text;
        ok = ok && choices_find(option->choices, node->text) >= 0;
        break;
    case WARREN_OPTION_STRING:
    case WARREN_OPTION_PATH:
        if (!ok)
            break;
        value->text = config_node_empty(node) ? "" : node->text;
        if (option->type == WARREN_OPTION_PATH)
            value->text = join_path(scope, node->source, value->text);
        return value->text ? WARREN_OK : config_nomem(scope);
    case WARREN_OPTION_LIST:
    case WARREN_OPTION_PATHS:
        return parse_list(scope, option, name, secret, node, value);
    case WARREN_OPTION_ARGUMENTS:
        return config_arguments_read(scope, node, &value->table);
    case WARREN_OPTION_MAPPING:
    case WARREN_OPTION_CHAIN:
        return WARREN_OK;
    default:
        return config_fail(scope, node, "%s has the unknown type %d in its table", name,
                           (int)option->type);
    }
    return ok ? WARREN_OK : refuse(scope, option, name, secret, node);
}

bool config_value_equal(enum warren_option_type type, const struct config_value *a,
                        const struct config_value *b)
{
    switch ((int)type) {
    case WARREN_OPTION_BOOL:
        return a->boolean == b->boolean;
    case WARREN_OPTION_LIST:
    case WARREN_OPTION_PATHS:
        if (a->count != b->count)
            return false;
        for (size_t i = 0; i < a->count; i++)
            if (strcmp(a->list[i], b->list[i]) != 0)
                return false;
        return true;
    case WARREN_OPTION_STRING:
    case WARREN_OPTION_PATH:
    case WARREN_OPTION_ENUM:
        return strcmp(a->text, b->text) == 0;
    case WARREN_OPTION_ARGUMENTS:
    case WARREN_OPTION_MAPPING:
    case WARREN_OPTION_CHAIN:
        return config_node_same(a->node, b->node);
    case WARREN_OPTION_RANGE:
        return a->least == b->least && a->integer == b->integer;
    default:
        return a->integer == b->integer;
    }
}
