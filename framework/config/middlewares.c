#include "config/middlewares.h"

#include <string.h>

static const char *const form = "such as `- retry` or `- retry: {max_attempts: 5}`";

/* A name alone, or a mapping of one name to its options. */
static enum warren_status read_link(struct config_scope *scope, const struct config_node *node,
                                    struct config_middleware *link)
{
    if (node->kind == CONFIG_SEQUENCE || config_node_empty(node) ||
        (node->kind == CONFIG_MAPPING && node->count != 2))
        return config_fail(scope, node, "a middleware must be one name, %s", form);
    *link = (struct config_middleware){.name = node->text, .node = node};
    if (node->kind == CONFIG_MAPPING) {
        link->name = node->items[0]->text;
        link->raw = node->items[1];
        link->node = node->items[0];
    }
    return config_check_name(scope, node, "the name of a middleware", link->name);
}

static enum warren_status check_once(struct config_scope *scope,
                                     const struct config_middleware *links, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(links[i].name, links[index].name) == 0)
            return config_fail(scope, links[index].node,
                               "%s stands twice: a chain has each middleware at most once",
                               links[index].name);
    return WARREN_OK;
}

static enum warren_status check_count(struct config_scope *scope, const struct config_node *node,
                                      size_t count)
{
    if (count <= CONFIG_CHAIN_MAX)
        return WARREN_OK;
    return config_fail(scope, node, "%zu middlewares, but at most %d are allowed", count,
                       CONFIG_CHAIN_MAX);
}

enum warren_status config_chain_read(struct config_scope *scope, const struct config_node *node,
                                     const struct config_middleware **ret_links, size_t *ret_count)
{
    struct config_middleware *links;
    enum warren_status status;

    if (node->kind != CONFIG_SEQUENCE)
        return config_fail(
            scope, node, "middleware of a subscription must be a list, outermost first, %s", form);
    status = check_count(scope, node, node->count);
    if (status != WARREN_OK)
        return status;
    links = arena_alloc(scope->arena, node->count * sizeof *links);
    if (!links)
        return config_nomem(scope);
    for (size_t i = 0; i < node->count && status == WARREN_OK; i++) {
        status = read_link(scope, node->items[i], &links[i]);
        if (status == WARREN_OK)
            status = check_once(scope, links, i);
    }
    *ret_links = links;
    *ret_count = node->count;
    return status;
}

enum warren_status config_middlewares_read(struct config_scope *scope,
                                           const struct config_node *node,
                                           const struct config_middleware **ret_items,
                                           size_t *ret_count)
{
    struct config_middleware *items;
    enum warren_status status;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_MAPPING)
        return config_fail(scope, node,
                           "middleware must be a mapping, such as `middleware: {retry: "
                           "{max_attempts: 8}}`; the chain itself is a list in a subscription");
    status = check_count(scope, node, node->count / 2);
    if (status != WARREN_OK)
        return status;
    items = arena_alloc(scope->arena, node->count / 2 * sizeof *items);
    if (!items)
        return config_nomem(scope);
    for (size_t i = 0; i < node->count / 2; i++)
        items[i] = (struct config_middleware){.name = node->items[2 * i]->text,
                                              .node = node->items[2 * i],
                                              .raw = node->items[2 * i + 1]};
    *ret_items = items;
    *ret_count = node->count / 2;
    return WARREN_OK;
}
