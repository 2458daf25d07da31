/* changes.c - what of a new configuration a running worker cannot take over. */
#include <string.h>

#include "config/handler_options.h"
#include "config/options.h"

/* Does the same stand there, wherever it stands? NULL is nothing. */
static bool same_node(const struct config_node *a, const struct config_node *b)
{
    if (!a || !b)
        return a == b || config_node_empty(a ? a : b);
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == CONFIG_SCALAR)
        return a->plain == b->plain && strcmp(a->text, b->text) == 0;
    for (size_t i = 0; i < a->count; i++) /* no deeper than CONFIG_DEPTH_MAX */
        if (!same_node(a->items[i], b->items[i]))
            return false;
    return true;
}

static const struct config_node *at_top(const struct config *config, const char *key)
{
    return config->private->root ? config_node_get(config->private->root, key) : NULL;
}

static bool same_subscription(const struct config_subscription *a,
                              const struct config_subscription *b)
{
    return strcmp(a->queue, b->queue) == 0 && strcmp(a->handler, b->handler) == 0;
}

static void compare_settings(struct name_list *changes, const struct config_subscription *a,
                             const struct config_subscription *b)
{
    if (a->prefetch != b->prefetch)
        name_list_add(changes, "prefetch of %s", a->queue);
    if (a->stop_at_gap != b->stop_at_gap)
        name_list_add(changes, "on_gap of %s", a->queue);
    if (a->prefetch_bytes != b->prefetch_bytes)
        name_list_add(changes, "prefetch_bytes of %s", a->queue);
    if (a->concurrency != b->concurrency)
        name_list_add(changes, "concurrency of %s", a->queue);
    if (!same_node(a->options, b->options))
        name_list_add(changes, "handler's options of %s", a->queue);
    if (!same_node(config_node_get(a->all, "arguments"), config_node_get(b->all, "arguments")))
        name_list_add(changes, "arguments of %s", a->queue);
}

static bool same_chain(const struct config_subscription *a, const struct config_subscription *b)
{
    if (a->chain_count != b->chain_count)
        return false;
    for (size_t i = 0; i < a->chain_count; i++)
        if (strcmp(a->chain[i].name, b->chain[i].name) != 0)
            return false;
    return true;
}

/* Several may be of the same queue and handler: the first is the first, and so on. */
const struct config_subscription *config_same_subscription(const struct config *before,
                                                           size_t index, const struct config *now)
{
    const struct config_subscription *wanted = &before->subscriptions[index];
    size_t skip = 0;

    for (size_t i = 0; i < index; i++)
        skip += same_subscription(&before->subscriptions[i], wanted);
    for (size_t i = 0; i < now->subscription_count; i++)
        if (same_subscription(&now->subscriptions[i], wanted) && skip-- == 0)
            return &now->subscriptions[i];
    return NULL;
}

static void compare_subscriptions(struct name_list *changes, const struct config *before,
                                  const struct config *now)
{
    size_t found = 0;

    for (size_t i = 0; i < before->subscription_count; i++) {
        const struct config_subscription *old = &before->subscriptions[i];
        const struct config_subscription *new = config_same_subscription(before, i, now);

        if (!new) {
            name_list_add(changes, "end of subscription %s", old->queue);
            continue;
        }
        found++;
        compare_settings(changes, old, new);
        if (!same_chain(old, new))
            name_list_add(changes, "chain of %s", old->queue);
    }
    if (found < now->subscription_count)
        name_list_add(changes, "a new subscription");
}

void config_changes(const struct config *before, const struct config *now,
                    struct name_list *changes)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (!(config_options[i].flags & CONFIG_OPTION_RELOADS) &&
            !config_value_equal(config_options[i].option.type, &before->private->values[i],
                                &now->private->values[i]))
            name_list_add(changes, "%s", config_options[i].option.name);
    if (!same_node(at_top(before, "topology"), at_top(now, "topology")))
        name_list_add(changes, "topology");
    compare_subscriptions(changes, before, now);
}
