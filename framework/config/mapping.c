#include "config/mapping.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "config/secret.h"

#define KNOWN_MAX 128
#define LIST_SIZE 256 /* of names in an error */

size_t config_table_count(const struct warren_option *table)
{
    size_t count = 0;

    while (table && table[count].name)
        count++;
    return count;
}

struct config_value *config_values_new(struct config_scope *scope,
                                       const struct warren_option *table)
{
    size_t size = config_table_count(table) * sizeof(struct config_value);
    struct config_value *values = arena_alloc(scope->arena, size);

    if (values)
        memset(values, 0, size);
    return values;
}

/* "a, b, c", cut where it is long. */
static const char *list_of(const char *const *names, size_t count, char text[LIST_SIZE])
{
    size_t len = 0;

    *text = '\0';
    for (size_t i = 0; i < count && len < LIST_SIZE; i++)
        len += (size_t)snprintf(text + len, LIST_SIZE - len, "%s%s", i ? ", " : "", names[i]);
    return text;
}

enum warren_status config_unknown_key(struct config_scope *scope, const struct config_node *key,
                                      const char *what, const char *const *known, size_t count)
{
    char word[CONFIG_WORD_SIZE];
    char list[LIST_SIZE];
    const char *near = suggest(key->text, known, count);

    if (strstr(key->text, "://"))
        config_mask_uri(key->text, word, sizeof word);
    else
        config_mask(key->text, word, sizeof word);
    if (near)
        return config_fail(scope, key, "unknown key '%s' in %s; did you mean '%s'?", word, what,
                           near);
    if (!count)
        return config_fail(scope, key, "unknown key '%s' in %s, which takes none", word, what);
    return config_fail(scope, key, "unknown key '%s' in %s, expected %s", word, what,
                       list_of(known, count, list));
}

enum warren_status config_unknown_name(struct config_scope *scope, const struct config_node *node,
                                       const struct config_named *named, const char *const *known,
                                       size_t count)
{
    char word[CONFIG_WORD_SIZE];
    char list[LIST_SIZE];
    const char *near = suggest(node->text, known, count);

    config_mask(node->text, word, sizeof word);
    if (near)
        return config_fail(scope, node, "%s '%s', which there is not; did you mean '%s'?",
                           named->lead, word, near);
    if (!count)
        return config_fail(scope, node,
                           "%s '%s', and the file has none: at its top, such as `%s: {%s: %s}`",
                           named->lead, word, named->section, word, named->example);
    return config_fail(scope, node, "%s '%s', which there is not, expected %s", named->lead, word,
                       list_of(known, count, list));
}

enum warren_status config_check_short_name(struct config_scope *scope,
                                           const struct config_node *key, const char *what)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    char word[CONFIG_WORD_SIZE];
    size_t len = strlen(key->text);

    if (len > 0 && len <= CONFIG_SHORT_NAME_MAX && strspn(key->text, allowed) == len)
        return WARREN_OK;
    return config_fail(scope, key, "%s is '%s', expected 1 to %d letters, digits, _, . and -", what,
                       config_mask(key->text, word, sizeof word), CONFIG_SHORT_NAME_MAX);
}

static enum warren_status unknown(struct config_scope *scope, const struct config_node *key,
                                  const char *what, const struct warren_option *table)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;

    for (; table && table[count].name && count < KNOWN_MAX; count++)
        known[count] = table[count].name;
    return config_unknown_key(scope, key, what, known, count);
}

static enum warren_status read_pair(struct config_scope *scope, const struct config_node *key,
                                    const struct config_node *node, const char *what,
                                    const struct warren_option *table, struct config_value *values)
{
    for (size_t i = 0; table && table[i].name; i++) {
        if (strcmp(table[i].name, key->text) != 0)
            continue;
        values[i].given = true;
        return config_value_parse(scope, &table[i], key->text, config_key_is_secret(key->text),
                                  node, &values[i]);
    }
    return unknown(scope, key, what, table);
}

/* Only a plugin's table can hold a default that does not parse. */
static enum warren_status read_default(struct config_scope *scope, const struct config_node *place,
                                       const char *what, const struct warren_option *option,
                                       struct config_value *value)
{
    const struct config_node *node;

    if (!option->fallback)
        return config_fail(scope, place, "'%s' is missing in %s", option->name, what);
    if ((int)option->type >= WARREN_OPTION_ARGUMENTS)
        return WARREN_OK; /* nothing stands there */
    node = config_node_text(
        scope,
        config_source_new(scope, config_print(scope, "default in %s", what), place->source->folder),
        option->fallback);
    return node ? config_value_parse(scope, option, option->name, false, node, value)
                : config_nomem(scope);
}

enum warren_status config_mapping_check(struct config_scope *scope, const struct config_node *node,
                                        const char *what, const struct warren_option *table,
                                        struct config_value *values)
{
    enum warren_status status = WARREN_OK;

    if (node->kind != CONFIG_MAPPING && !config_node_empty(node))
        return config_fail(scope, node, "%s must be a mapping (key: value)", what);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i += 2)
        status = read_pair(scope, node->items[i], node->items[i + 1], what, table, values);
    return status;
}

enum warren_status config_mapping_read(struct config_scope *scope, const struct config_node *node,
                                       const char *what, const struct warren_option *table,
                                       struct config_value *values)
{
    enum warren_status status = config_mapping_check(scope, node, what, table, values);

    for (size_t i = 0; table && table[i].name && status == WARREN_OK; i++)
        if (!values[i].given)
            status = read_default(scope, node, what, &table[i], &values[i]);
    return status;
}
