#include "config/mapping.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "config/secret.h"

#define KNOWN_MAX      128
#define NAME_MAX_BYTES 255

size_t config_table_count(const struct warren_option *table)
{
    size_t count = 0;

    while (table && table[count].name)
        count++;
    return count;
}

enum warren_status config_unknown_key(struct config_scope *scope, const struct config_node *key,
                                      const char *what, const char *const *known, size_t count)
{
    char word[CONFIG_WORD_SIZE];
    char list[256] = "";
    size_t len = 0;
    const char *near = suggest(key->text, known, count);

    if (strstr(key->text, "://"))
        config_mask_uri(key->text, word, sizeof word);
    else
        config_mask(key->text, word, sizeof word);
    if (near)
        return config_fail(scope, key, "unknown key '%s' in %s; did you mean '%s'?", word, what,
                           near);
    for (size_t i = 0; i < count && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", known[i]);
    if (!count)
        return config_fail(scope, key, "unknown key '%s' in %s, which takes none", word, what);
    return config_fail(scope, key, "unknown key '%s' in %s, expected %s", word, what, list);
}

static enum warren_status unknown(struct config_scope *scope, const struct config_node *key,
                                  const char *what, const struct warren_option *table,
                                  const char *const *extra)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;

    for (size_t i = 0; table && table[i].name && count < KNOWN_MAX; i++)
        known[count++] = table[i].name;
    for (size_t i = 0; extra && extra[i] && count < KNOWN_MAX; i++)
        known[count++] = extra[i];
    return config_unknown_key(scope, key, what, known, count);
}

static bool is_extra(const char *name, const char *const *extra)
{
    for (size_t i = 0; extra && extra[i]; i++)
        if (strcmp(extra[i], name) == 0)
            return true;
    return false;
}

static enum warren_status read_pair(struct config_scope *scope, const struct config_node *key,
                                    const struct config_node *node, const char *what,
                                    const struct warren_option *table, const char *const *extra,
                                    struct config_value *values)
{
    if (is_extra(key->text, extra))
        return WARREN_OK;
    for (size_t i = 0; table && table[i].name; i++) {
        if (strcmp(table[i].name, key->text) != 0)
            continue;
        values[i].given = true;
        return config_value_parse(scope, &table[i], key->text, config_key_is_secret(key->text),
                                  node, &values[i]);
    }
    return unknown(scope, key, what, table, extra);
}

static enum warren_status read_default(struct config_scope *scope, const struct config_node *place,
                                       const char *what, const struct warren_option *option,
                                       struct config_value *value)
{
    struct config_source *source;
    const struct config_node *node;

    char name[CONFIG_WHERE_SIZE];
    int len;

    if (!option->fallback)
        return config_fail(scope, place, "'%s' is missing in %s", option->name, what);
    source = arena_alloc(scope->arena, sizeof *source);
    if (!source)
        return config_nomem(scope);
    /* Only a plugin's table can hold a default that does not parse. */
    len = snprintf(name, sizeof name, "default in %s", what);
    source->folder = place->source->folder;
    source->name =
        arena_text(scope->arena, name, len < (int)sizeof name ? (size_t)len : sizeof name - 1);
    if (!source->name)
        return config_nomem(scope);
    node = config_node_text(scope, source, option->fallback);
    if (!node)
        return config_nomem(scope);
    return config_value_parse(scope, option, option->name, false, node, value);
}

enum warren_status config_mapping_check(struct config_scope *scope, const struct config_node *node,
                                        const char *what, const struct warren_option *table,
                                        const char *const *extra, struct config_value *values)
{
    enum warren_status status = WARREN_OK;

    if (node->kind != CONFIG_MAPPING && !config_node_empty(node))
        return config_fail(scope, node, "%s must be a mapping (key: value)", what);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i += 2)
        status = read_pair(scope, node->items[i], node->items[i + 1], what, table, extra, values);
    return status;
}

enum warren_status config_mapping_read(struct config_scope *scope, const struct config_node *node,
                                       const char *what, const struct warren_option *table,
                                       const char *const *extra, struct config_value *values)
{
    enum warren_status status = config_mapping_check(scope, node, what, table, extra, values);

    for (size_t i = 0; table && table[i].name && status == WARREN_OK; i++)
        if (!values[i].given)
            status = read_default(scope, node, what, &table[i], &values[i]);
    return status;
}

enum warren_status config_check_name(struct config_scope *scope, const struct config_node *node,
                                     const char *what, const char *name)
{
    if (!*name)
        return config_fail(scope, node, "%s must not be empty", what);
    if (strlen(name) > NAME_MAX_BYTES)
        return config_fail(scope, node, "%s has %zu bytes, but AMQP allows 255", what,
                           strlen(name));
    return WARREN_OK;
}
