/* changes.c - what of a new configuration a running worker cannot take over. */
#include <string.h>

#include "config/options.h"

static bool same_subscription(const struct config_subscription *a,
                              const struct config_subscription *b)
{
    return strcmp(a->queue, b->queue) == 0 && strcmp(a->handler, b->handler) == 0;
}

/* @queue NULL: they are options of the worker. */
static void compare_values(struct name_list *changes, const struct config_table *table,
                           const struct config_value *a, const struct config_value *b,
                           const char *queue)
{
    for (size_t i = 0; table->rows[i].name; i++)
        if (!(table->places[i].flags & CONFIG_OPTION_RELOADS) &&
            (int)table->rows[i].type != WARREN_OPTION_CHAIN &&
            !config_value_equal(table->rows[i].type, &a[i], &b[i]))
            name_list_add(changes, "%s%s%s", table->rows[i].name, queue ? " of " : "",
                          queue ? queue : "");
}

bool config_same_chain(const struct config_subscription *a, const struct config_subscription *b)
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
        compare_values(changes, &config_subscription_table, old->written.values,
                       new->written.values, old->queue);
        if (!config_same_chain(old, new))
            name_list_add(changes, "chain of %s", old->queue);
    }
    if (found < now->subscription_count)
        name_list_add(changes, "a new subscription");
}

void config_changes(const struct config *before, const struct config *now,
                    struct name_list *changes)
{
    compare_values(changes, &config_options_table, before->private->values, now->private->values,
                   NULL);
    compare_subscriptions(changes, before, now);
}
