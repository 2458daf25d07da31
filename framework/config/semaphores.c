/* semaphores.c - `semaphores:` at the top of the file, their sizes by name; and `uses:` of a
 * subscription, so much of each of some. */
#include <stdio.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

#define SIZE_MAX_UNITS 1000000

static const struct warren_option number = {
    .name = "", .type = WARREN_OPTION_INT, .min = 1, .max = SIZE_MAX_UNITS};

static enum warren_status read_number(struct config_scope *scope, const struct config_node *node,
                                      const char *what, const char *name, uint32_t *ret)
{
    char whole[CONFIG_SHORT_NAME_MAX + 32];
    struct config_value value = {.given = true};
    enum warren_status status;

    snprintf(whole, sizeof whole, "%s.%s", what, name);
    status = config_value_parse(scope, &number, whole, false, node, &value);
    *ret = (uint32_t)value.integer;
    return status;
}

static enum warren_status check_mapping(struct config_scope *scope, const struct config_node *node,
                                        const char *what)
{
    if (node->kind != CONFIG_MAPPING)
        return config_fail(scope, node, "%s must be a mapping, such as `%s: {db: 10}`", what, what);
    if (node->count / 2 > CONFIG_SEMAPHORES_MAX)
        return config_fail(scope, node, "%zu %s, but at most %d are allowed", node->count / 2, what,
                           CONFIG_SEMAPHORES_MAX);
    return WARREN_OK;
}

/* ---- semaphores ---- */

enum warren_status config_semaphores_read(struct config_scope *scope,
                                          struct config_private *private,
                                          const struct config_node *node)
{
    struct config_semaphore *items;
    enum warren_status status;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    status = check_mapping(scope, node, "semaphores");
    if (status != WARREN_OK)
        return status;
    items = arena_alloc(scope->arena, (node->count / 2 + 1) * sizeof *items);
    if (!items)
        return config_nomem(scope);
    for (size_t i = 0; status == WARREN_OK && i < node->count / 2; i++) {
        const struct config_node *key = node->items[2 * i];

        items[i].name = key->text;
        status = config_check_short_name(scope, key, "the name of a semaphore");
        if (status == WARREN_OK)
            status =
                read_number(scope, node->items[2 * i + 1], "semaphores", key->text, &items[i].size);
    }
    private->config.semaphores = items;
    private->config.semaphore_count = node->count / 2;
    return status;
}

static const struct config_semaphore *find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->semaphore_count; i++)
        if (strcmp(config->semaphores[i].name, name) == 0)
            return &config->semaphores[i];
    return NULL;
}

bool config_semaphores_differ(const struct config *a, const struct config *b)
{
    if (a->semaphore_count != b->semaphore_count)
        return true;
    for (size_t i = 0; i < a->semaphore_count; i++) {
        const struct config_semaphore *other = find(b, a->semaphores[i].name);

        if (!other || other->size != a->semaphores[i].size)
            return true;
    }
    return false;
}

/* ---- uses ---- */

static enum warren_status unknown(struct config_scope *scope, const struct config *config,
                                  const struct config_node *key)
{
    static const struct config_named named = {"uses the semaphore", "semaphores", "10"};
    const char *names[CONFIG_SEMAPHORES_MAX];

    for (size_t i = 0; i < config->semaphore_count; i++)
        names[i] = config->semaphores[i].name;
    return config_unknown_name(scope, key, &named, names, config->semaphore_count);
}

static enum warren_status read_use(struct config_scope *scope, const struct config *config,
                                   const struct config_node *key, const struct config_node *node,
                                   struct config_use *use)
{
    const struct config_semaphore *semaphore = find(config, key->text);
    enum warren_status status;

    if (!semaphore)
        return unknown(scope, config, key);
    use->name = semaphore->name;
    status = read_number(scope, node, "uses", use->name, &use->weight);
    if (status != WARREN_OK || use->weight <= semaphore->size)
        return status;
    return config_fail(scope, node, "uses.%s is %u, more than there is: the semaphore's size is %u",
                       use->name, use->weight, semaphore->size);
}

static enum warren_status read_uses(struct config_scope *scope, const struct config *config,
                                    struct config_subscription *subscription)
{
    const struct config_node *node = subscription->uses_node;
    struct config_use *uses;
    enum warren_status status;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    status = check_mapping(scope, node, "uses");
    if (status != WARREN_OK)
        return status;
    uses = arena_alloc(scope->arena, (node->count / 2 + 1) * sizeof *uses);
    if (!uses)
        return config_nomem(scope);
    for (size_t i = 0; status == WARREN_OK && i < node->count / 2; i++)
        status = read_use(scope, config, node->items[2 * i], node->items[2 * i + 1], &uses[i]);
    subscription->uses = uses;
    subscription->use_count = node->count / 2;
    return status;
}

enum warren_status config_uses_read(struct config_scope *scope, struct config_private *private)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < private->config.subscription_count; i++)
        status = read_uses(scope, &private->config, &private->subscriptions[i]);
    return status;
}
