#include "config/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define NAME_MAX_BYTES 255

void config_node_where(const struct config_node *node, char *text, size_t size)
{
    if (node->line)
        snprintf(text, size, "%s:%zu:%zu", node->source->name, node->line, node->column);
    else
        snprintf(text, size, "%s", node->source->name);
}

enum warren_status(config_fail)(struct config_scope *scope, const struct config_node *node,
                                const char *format, ...)
{
    char where[CONFIG_WHERE_SIZE];
    char words[WARREN_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    config_node_where(node, where, sizeof where);
    return error_set(scope->error, WARREN_ECONFIG, "%s: %s", where, words);
}

enum warren_status(config_nomem)(struct config_scope *scope)
{
    return error_set(scope->error, WARREN_ENOMEM, "out of memory while reading the configuration");
}

const char *config_copy(struct config_scope *scope, const char *text)
{
    return arena_text(scope->arena, text, strlen(text));
}

const char *config_print(struct config_scope *scope, const char *format, ...)
{
    char text[CONFIG_WHERE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return config_copy(scope, text);
}

const struct config_source *config_source_new(struct config_scope *scope, const char *name,
                                              const char *folder)
{
    struct config_source *source = arena_alloc(scope->arena, sizeof *source);

    if (!source || !name)
        return NULL;
    *source = (struct config_source){.name = name, .folder = folder};
    return source;
}

const struct config_node *config_node_text(struct config_scope *scope,
                                           const struct config_source *source, const char *text)
{
    struct config_node *node = source && text ? arena_alloc(scope->arena, sizeof *node) : NULL;

    if (node)
        *node = (struct config_node){
            .kind = CONFIG_SCALAR, .plain = true, .text = text, .weight = 1, .source = source};
    return node;
}

struct config_node *config_node_list(struct config_scope *scope, const struct config_source *source,
                                     size_t max)
{
    struct config_node *node = source ? arena_alloc(scope->arena, sizeof *node) : NULL;

    if (!node)
        return NULL;
    *node = (struct config_node){.kind = CONFIG_SEQUENCE, .weight = 1, .source = source};
    node->items = arena_alloc(scope->arena, max * sizeof(*node->items));
    return node->items ? node : NULL;
}

bool config_node_empty(const struct config_node *node)
{
    return node->kind == CONFIG_SCALAR && node->plain &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

bool config_node_same(const struct config_node *a, const struct config_node *b)
{
    if (!a || !b)
        return a == b || config_node_empty(a ? a : b);
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == CONFIG_SCALAR)
        return a->plain == b->plain && strcmp(a->text, b->text) == 0;
    for (size_t i = 0; i < a->count; i++) /* no deeper than CONFIG_DEPTH_MAX of document.h */
        if (!config_node_same(a->items[i], b->items[i]))
            return false;
    return true;
}

const struct config_node *config_node_get(const struct config_node *node, const char *key)
{
    if (node->kind != CONFIG_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->count; i += 2)
        if (strcmp(node->items[i]->text, key) == 0)
            return node->items[i + 1];
    return NULL;
}

const struct config_node *config_node_merge(struct config_scope *scope,
                                            const struct config_node *own,
                                            const struct config_node *other)
{
    struct config_node *node = config_node_list(scope, own->source, own->count + other->count);
    const struct config_node **items;

    if (!node)
        return NULL;
    items = node->items;
    *node = *own;
    node->items = items;
    if (own->count > 0)
        memcpy(node->items, own->items, own->count * sizeof *node->items);
    for (size_t i = 0; i < other->count; i += 2) {
        if (config_node_get(own, other->items[i]->text))
            continue;
        node->items[node->count++] = other->items[i];
        node->items[node->count++] = other->items[i + 1];
    }
    return node;
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
