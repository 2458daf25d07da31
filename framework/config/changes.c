/* changes.c - what of a new configuration a running worker cannot take over. */
#include <stdio.h>
#include <string.h>

#include "config/handler_options.h"
#include "config/options.h"

/* Names, as many as fit. */
struct list {
    char *text;
    size_t size;
    size_t len;
    size_t count;
};

static void add(struct list *list, const char *what, const char *name)
{
    int more = 0;

    if (list->len < list->size)
        more = snprintf(list->text + list->len, list->size - list->len, "%s%s%s",
                        list->count ? ", " : "", what, name);
    list->len += more > 0 ? (size_t)more : 0;
    list->count++;
}

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

static bool same_settings(const struct config_subscription *a, const struct config_subscription *b)
{
    return a->prefetch == b->prefetch && a->prefetch_bytes == b->prefetch_bytes &&
           a->concurrency == b->concurrency && same_node(a->options, b->options) &&
           same_node(config_node_get(a->all, "arguments"), config_node_get(b->all, "arguments"));
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

static void compare_subscriptions(struct list *list, const struct config *before,
                                  const struct config *now)
{
    size_t found = 0;

    for (size_t i = 0; i < before->subscription_count; i++) {
        const struct config_subscription *old = &before->subscriptions[i];
        const struct config_subscription *new = config_same_subscription(before, i, now);

        found += new != NULL;
        if (!new || !same_settings(old, new))
            add(list, "subscription of ", old->queue);
        else if (!same_chain(old, new))
            add(list, "chain of ", old->queue);
    }
    if (found < now->subscription_count)
        add(list, "a new subscription", "");
}

size_t config_changes(const struct config *before, const struct config *now, char *text,
                      size_t size)
{
    struct list list = {text, size, 0, 0};

    text[0] = '\0';
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (!(config_options[i].flags & CONFIG_OPTION_RELOADS) &&
            !config_value_equal(config_options[i].option.type, &before->private->values[i],
                                &now->private->values[i]))
            add(&list, config_options[i].option.name, "");
    if (!same_node(at_top(before, "topology"), at_top(now, "topology")))
        add(&list, "topology", "");
    compare_subscriptions(&list, before, now);
    return list.count;
}
