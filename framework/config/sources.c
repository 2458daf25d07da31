#include "config/options.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/mapping.h"
#include "config/secret.h"

#define NAME_SIZE 128

/* What follows in @key, in any case, behind @name; NULL: it begins in another way. */
static const char *behind(const char *key, const char *name)
{
    size_t len = strlen(name);

    return ascii_same_n(key, name, len) ? key + len : NULL;
}

/* @key is such an option, or begins with one and a point, a bracket, or as a variable. */
static bool is_only_in_file(const char *key)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *rest = behind(key, config_options[i].name);

        if (rest && config_option_has(&config_options[i], CONFIG_OPTION_FILE) &&
            (!*rest || strchr("._[", *rest)))
            return true;
    }
    return false;
}

/* ---- the file ---- */

/* The keys that may stand in the mapping @prefix ("" or "broker."), each once. */
static size_t keys_of(const char *prefix, char keys[CONFIG_OPTION_COUNT][CONFIG_VARIABLE_SIZE],
                      const char *list[CONFIG_OPTION_COUNT])
{
    size_t prefix_len = strlen(prefix);
    size_t count = 0;

    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *rest = config_options[i].name + prefix_len;

        if (strncmp(config_options[i].name, prefix, prefix_len) != 0)
            continue;
        snprintf(keys[count], CONFIG_VARIABLE_SIZE, "%.*s", (int)strcspn(rest, "."), rest);
        if (!count || strcmp(keys[count], keys[count - 1]) != 0)
            count++;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = keys[i];
    return count;
}

static enum warren_status unknown_key(struct config_scope *scope, const struct config_node *key,
                                      const char *prefix)
{
    char keys[CONFIG_OPTION_COUNT][CONFIG_VARIABLE_SIZE];
    const char *list[CONFIG_OPTION_COUNT];
    char what[CONFIG_VARIABLE_SIZE];
    size_t count = keys_of(prefix, keys, list);

    /* Without its last dot. */
    snprintf(what, sizeof what, "%.*s", *prefix ? (int)strlen(prefix) - 1 : 8,
             *prefix ? prefix : "the file");
    if (suggest(key->text, list, count))
        return config_unknown_key(scope, key, what, list, count);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_options[i].name;
        const char *dot = strrchr(name, '.');

        if (dot && (strcmp(dot + 1, key->text) == 0 || strcmp(name, key->text) == 0))
            return config_fail(scope, key, "unknown key '%s' in %s; did you mean '%s' in %.*s?",
                               key->text, what, dot + 1, (int)(dot - name), name);
    }
    return config_unknown_key(scope, key, what, list, count);
}

static bool is_section(const char *prefix)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (strncmp(config_options[i].name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* Two levels at most: names have at most two dots. */
static enum warren_status read_section(struct config_scope *scope, struct config_private *config,
                                       const struct config_node *node, const char *prefix)
{
    enum warren_status status = WARREN_OK;

    if (config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_MAPPING)
        return config_fail(scope, node, "%.*s must be a mapping (key: value)",
                           (int)strlen(prefix) - 1, prefix);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i += 2) {
        const struct config_node *key = node->items[i];
        const struct warren_option *option;
        char name[NAME_SIZE];
        int len = snprintf(name, sizeof name, "%s%s", prefix, key->text);

        if (len >= (int)sizeof name - 1 || strchr(key->text, '.'))
            return unknown_key(scope, key, prefix);
        option = config_option_find(name);
        if (option) {
            status = config_option_set(scope, config, option, node->items[i + 1]);
            continue;
        }
        memcpy(name + len, ".", sizeof "."); /* room was checked above */
        if (!is_section(name))
            return unknown_key(scope, key, prefix);
        status = read_section(scope, config, node->items[i + 1], name);
    }
    return status;
}

enum warren_status config_read_document(struct config_scope *scope, struct config_private *config,
                                        const struct config_node *root)
{
    if (root->kind != CONFIG_MAPPING)
        return config_fail(scope, root, "the file must be a mapping (key: value)");
    return read_section(scope, config, root, "");
}

/* ---- one text: a variable's or a --set's ---- */

/* In addresses a comma separates only where a scheme follows: it may stand in a password. */
static bool is_separator(const char *comma, bool addresses)
{
    const char *next = comma + 1 + strspn(comma + 1, " ");
    size_t scheme = 0;

    if (!addresses)
        return true;
    while (ascii_is_alnum(next[scheme]))
        scheme++;
    return scheme && strncmp(next + scheme, "://", 3) == 0;
}

static const char *next_separator(const char *text, bool addresses)
{
    const char *comma = strchr(text, ',');

    while (comma && !is_separator(comma, addresses))
        comma = strchr(comma + 1, ',');
    return comma ? comma : text + strlen(text);
}

static const struct config_node *split(struct config_scope *scope,
                                       const struct config_source *source, const char *text,
                                       bool addresses)
{
    struct config_node *node = config_node_list(scope, source, strlen(text) + 1);

    while (node) {
        const char *end = next_separator(text, addresses);
        const struct config_node *item;

        text += strspn(text, " ");
        item = config_node_text(
            scope, source, arena_text(scope->arena, text, end > text ? (size_t)(end - text) : 0));
        if (!item)
            return NULL;
        node->items[node->count++] = item;
        if (!*end)
            break;
        text = end + 1;
    }
    return node;
}

static enum warren_status set_text(struct config_scope *scope, struct config_private *config,
                                   const struct warren_option *option, const char *source_name,
                                   const char *text)
{
    const struct config_source *source =
        config_source_new(scope, config_copy(scope, source_name), "");
    bool list = option->type == WARREN_OPTION_LIST || (int)option->type == WARREN_OPTION_PATHS;
    const struct config_node *node =
        list && strchr(text, ',')
            ? split(scope, source, text, config_option_has(option, CONFIG_OPTION_SECRET))
            : config_node_text(scope, source, config_copy(scope, text));

    return node ? config_option_set(scope, config, option, node) : config_nomem(scope);
}

/* @key, which @kind says, is none of @names; @name is the same without a prefix. */
static enum warren_status no_such_option(struct config_scope *scope, const char *kind,
                                         const char *key, const char *name,
                                         const char *const names[CONFIG_OPTION_COUNT])
{
    const char *near = suggest(key, names, CONFIG_OPTION_COUNT);
    char word[CONFIG_WORD_SIZE];

    if (strstr(key, "://"))
        config_mask_uri(key, word, sizeof word);
    else
        config_mask(key, word, sizeof word);
    if (is_only_in_file(name))
        return error_set(scope->error, WARREN_ECONFIG,
                         "%s %s: topology, middleware and subscriptions can be given only in the "
                         "file",
                         kind, word);
    return error_set(scope->error, WARREN_ECONFIG, "%s %s: there is no such option%s%s%s", kind,
                     word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* ---- the environment ---- */

static bool begins_like_section(const char *key)
{
    for (const struct config_section *section = config_sections; section->name; section++) {
        size_t len = strlen(section->name);

        if (ascii_same_n(key, section->name, len) && key[len] == '_')
            return true;
    }
    return false;
}

/*
 * A service named warren-broker makes Kubernetes set WARREN_BROKER_SERVICE_HOST,
 * WARREN_BROKER_PORT, WARREN_BROKER_PORT_5672_TCP and the like in every container. Source:
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
static bool set_by_kubernetes(const char *name, const char *value)
{
    const char *port = strstr(name, "_PORT");

    return strstr(name, "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT") ||
           (port && port[5] == '\0' && strstr(value, "://")) ||
           (port && port[5] == '_' && port[6] >= '0' && port[6] <= '9');
}

/* Another program's, unless it is nearly one of ours. */
static void leave_alone(const char *name, const char *const names[CONFIG_OPTION_COUNT])
{
    const char *behind_prefix[CONFIG_OPTION_COUNT];
    const char *near;

    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        behind_prefix[i] = names[i] + 7;
    near = suggest(name + 7, behind_prefix, CONFIG_OPTION_COUNT);
    if (near)
        log_warn(
            "environment variable %s is ignored, for no option has it; did you mean WARREN_%s?",
            name, near);
}

static enum warren_status read_variable(struct config_scope *scope, struct config_private *config,
                                        const char *entry)
{
    size_t len = strcspn(entry, "=");
    char variables[CONFIG_OPTION_COUNT][CONFIG_VARIABLE_SIZE];
    const char *names[CONFIG_OPTION_COUNT];
    char name[NAME_SIZE];

    if (strncmp(entry, "WARREN_", 7) != 0 || entry[len] != '=')
        return WARREN_OK;
    snprintf(name, sizeof name, "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE), entry);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        config_option_variable(&config_options[i], variables[i]);
        if (strcmp(variables[i], name) == 0 &&
            !config_option_has(&config_options[i], CONFIG_OPTION_FILE))
            return set_text(scope, config, &config_options[i], name, entry + len + 1);
        names[i] = variables[i];
    }
    if (set_by_kubernetes(name, entry + len + 1))
        return WARREN_OK;
    if (!begins_like_section(name + 7) && !is_only_in_file(name + 7)) {
        leave_alone(name, names);
        return WARREN_OK;
    }
    return no_such_option(scope, "environment variable", name, name + 7, names);
}

enum warren_status config_read_environment(struct config_scope *scope,
                                           struct config_private *config, char *const *env)
{
    enum warren_status status = WARREN_OK;

    for (; env && *env && status == WARREN_OK; env++)
        status = read_variable(scope, config, *env);
    return status;
}

/* ---- --set ---- */

enum warren_status config_read_set(struct config_scope *scope, struct config_private *config,
                                   const char *source_name, const char *set)
{
    size_t len = strcspn(set, "=");
    char key[NAME_SIZE];
    char source[NAME_SIZE + 8];
    const char *names[CONFIG_OPTION_COUNT];
    const struct warren_option *option;

    /* The text is not repeated: without a key nobody knows whether it is a password. */
    if (!set[len] || !len)
        return error_set(scope->error, WARREN_ECONFIG,
                         "--set: expected KEY=VALUE, such as consumer.prefetch=200");
    snprintf(key, sizeof key, "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE), set);
    option = config_option_find(key);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        names[i] = config_options[i].name;
    if (!option || config_option_has(option, CONFIG_OPTION_FILE))
        return no_such_option(scope, "--set", key, key, names);
    snprintf(source, sizeof source, "--set %s", key);
    return set_text(scope, config, option, source_name ? source_name : source, set + len + 1);
}
