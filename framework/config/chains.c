/* chains.c - the chain of each subscription, from its own list, the top of the file, and the tables
 * of the middlewares. */
#include <stdio.h>
#include <string.h>

#include "config/handler_options.h"
#include "config/mapping.h"
#include "config/options.h"

/* ---- what is written ---- */

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

struct chains {
    struct config_scope scope;
    const struct config *config;
    const struct config_catalog *catalog;
};

static const struct config_middleware *find_at_top(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->middleware_count; i++)
        if (strcmp(config->middlewares[i].name, name) == 0)
            return &config->middlewares[i];
    return NULL;
}

static enum warren_status find_table(struct chains *chains, const struct config_middleware *link,
                                     const struct warren_option **ret_table)
{
    struct warren_error why = {WARREN_OK, ""};

    if (chains->catalog->find(chains->catalog->user, link->name, ret_table, &why) == WARREN_OK)
        return WARREN_OK;
    return config_fail(&chains->scope, link->node, "%s", why.text);
}

/* ---- the top of the file ---- */

/* Checked even where no chain has it. What is required may be missing here. */
static enum warren_status check_top(struct chains *chains, const struct config_middleware *item)
{
    const struct warren_option *table = NULL;
    struct config_value *values;
    char what[WARREN_ERROR_TEXT_MAX / 2];
    enum warren_status status = find_table(chains, item, &table);

    if (status != WARREN_OK)
        return status;
    values = config_values_new(&chains->scope, table);
    if (!values)
        return config_nomem(&chains->scope);
    snprintf(what, sizeof what, "the options of %s", item->name);
    return config_mapping_check(&chains->scope, item->raw, what, table, values);
}

/* ---- one link ---- */

/* Where nothing is written, errors point to the link. */
static const struct config_node *empty_at(struct chains *chains, const struct config_node *place)
{
    struct config_node *node = arena_alloc(chains->scope.arena, sizeof *node);

    if (node) {
        *node = *place;
        node->kind = CONFIG_SCALAR;
        node->plain = true;
        node->text = "";
        node->count = 0;
    }
    return node;
}

static const struct config_node *options_of(struct chains *chains,
                                            const struct config_middleware *link)
{
    const struct config_middleware *at_top = find_at_top(chains->config, link->name);
    const struct config_node *top = at_top ? at_top->raw : NULL;

    if (top && config_node_empty(top))
        top = NULL;
    if (!link->raw || config_node_empty(link->raw))
        return top ? top : empty_at(chains, link->node);
    /* What is no mapping is refused by whoever reads it. */
    return top && link->raw->kind == CONFIG_MAPPING
               ? config_node_merge(&chains->scope, link->raw, top)
               : link->raw;
}

static enum warren_status complete(struct chains *chains, struct config_middleware *link)
{
    const struct config_owner owner = {"middleware", link->name};
    const struct warren_option *table = NULL;
    const struct config_node *node;
    enum warren_status status = find_table(chains, link, &table);

    if (status != WARREN_OK)
        return status;
    node = options_of(chains, link);
    return node ? config_owner_options(&chains->scope, &owner, node, table, &link->options)
                : config_nomem(&chains->scope);
}

/* ---- one subscription ---- */

/* Errors in options point to the top of the file, else to the subscription. */
static size_t list_standard(const struct chains *chains,
                            const struct config_subscription *subscription,
                            struct config_middleware *links)
{
    size_t count = 0;

    for (size_t i = 0; i < chains->catalog->standard_count; i++) {
        const struct config_standard_link *link = &chains->catalog->standard[i];
        const struct config_middleware *top = find_at_top(chains->config, link->name);

        if (link->always || top)
            links[count++] = (struct config_middleware){
                .name = link->name, .node = top ? top->node : subscription->written.node};
    }
    return count;
}

static enum warren_status list_links(struct chains *chains,
                                     const struct config_subscription *subscription,
                                     struct config_middleware **ret_links, size_t *ret_count)
{
    size_t max =
        subscription->own_chain ? subscription->chain_count : chains->catalog->standard_count;
    struct config_middleware *links = arena_alloc(chains->scope.arena, max * sizeof *links);

    if (!links)
        return config_nomem(&chains->scope);
    *ret_count = max;
    if (!subscription->own_chain)
        *ret_count = list_standard(chains, subscription, links);
    else if (max > 0)
        memcpy(links, subscription->chain, max * sizeof *links);
    *ret_links = links;
    return WARREN_OK;
}

static enum warren_status check_order(struct chains *chains, const struct config_middleware *links,
                                      size_t count)
{
    const char *names[CONFIG_CHAIN_MAX];
    char why[WARREN_ERROR_TEXT_MAX / 2];
    size_t culprit = 0;

    for (size_t i = 0; i < count; i++)
        names[i] = links[i].name;
    if (chains->catalog->in_order(names, count, &culprit, why, sizeof why))
        return WARREN_OK;
    return config_fail(&chains->scope, links[culprit].node, "%s", why);
}

static enum warren_status build(struct chains *chains, struct config_subscription *subscription)
{
    struct config_middleware *links = NULL;
    size_t count = 0;
    enum warren_status status = list_links(chains, subscription, &links, &count);

    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = complete(chains, &links[i]);
    if (status == WARREN_OK)
        status = check_order(chains, links, count);
    if (status != WARREN_OK)
        return status;
    subscription->chain = links;
    subscription->chain_count = count;
    return WARREN_OK;
}

enum warren_status config_chains(struct config *config, const struct config_catalog *catalog,
                                 struct warren_error *error)
{
    struct chains chains = {{&config->private->arena, error}, config, catalog};
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < config->middleware_count; i++)
        status = check_top(&chains, &config->middlewares[i]);
    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        status = build(&chains, &config->private->subscriptions[i]);
    return status;
}

const struct config_middleware *config_find_link(const struct config_subscription *subscription,
                                                 const char *name)
{
    for (size_t i = 0; i < subscription->chain_count; i++)
        if (strcmp(subscription->chain[i].name, name) == 0)
            return &subscription->chain[i];
    return NULL;
}
