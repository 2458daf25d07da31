#include "config/items.h"

#include <stdio.h>
#include <string.h>

#include "config/mapping.h"
#include "config/secret.h"

static void inherit(const struct config_private *config, const struct config_table *table,
                    struct config_value *values)
{
    for (size_t i = 0; table->rows[i].name; i++)
        if (table->places[i].flags & CONFIG_OPTION_INHERITS) {
            values[i] =
                config->values[config_option_find(table->rows[i].fallback) - config_options];
            values[i].given = true;
        }
}

static enum warren_status check_names(struct config_scope *scope, const struct config_table *table,
                                      const struct config_value *values)
{
    enum warren_status status = WARREN_OK;
    char what[CONFIG_WORD_SIZE];

    for (size_t i = 0; table->rows[i].name && status == WARREN_OK; i++) {
        const char *fallback = table->rows[i].fallback;

        if (!(table->places[i].flags & CONFIG_OPTION_NAME) ||
            (fallback && strcmp(values[i].text, fallback) == 0))
            continue;
        snprintf(what, sizeof what, "the %s of %s", table->rows[i].name, table->what);
        status = config_check_name(scope, values[i].node, what, values[i].text);
    }
    return status;
}

static enum warren_status read_item(struct config_scope *scope, const struct config_private *config,
                                    const struct config_list *list, const struct config_node *node,
                                    void *item)
{
    const struct config_table *table = list->table;
    struct config_value *values = config_values_new(scope, table->rows);
    enum warren_status status;

    if (!values)
        return config_nomem(scope);
    inherit(config, table, values);
    status = config_mapping_read(scope, node, table->what, table->rows, values);
    if (status == WARREN_OK)
        status = check_names(scope, table, values);
    if (status != WARREN_OK)
        return status;
    memset(item, 0, table->size);
    *(struct config_written *)item = (struct config_written){node, values};
    config_store(table, values, item);
    return list->finish ? list->finish(scope, item) : WARREN_OK;
}

/* Of a list with a KEY, which is the first row. */
static enum warren_status check_twice(struct config_scope *scope, const struct config_list *list,
                                      const char *items, size_t index)
{
    const struct config_table *table = list->table;
    const struct config_written *item = (const void *)(items + index * table->size);
    char word[CONFIG_WORD_SIZE];

    if ((table->places[0].flags & CONFIG_OPTION_KEY) != CONFIG_OPTION_KEY)
        return WARREN_OK;
    for (size_t i = 0; i < index; i++) {
        const struct config_written *other = (const void *)(items + i * table->size);

        if (strcmp(other->values[0].text, item->values[0].text) == 0)
            return config_fail(scope, item->values[0].node, "the %s '%s' stands twice in %s",
                               strchr(table->what, ' ') + 1,
                               config_mask(item->values[0].text, word, sizeof word), list->name);
    }
    return WARREN_OK;
}

enum warren_status config_items_read(struct config_scope *scope,
                                     const struct config_private *config,
                                     const struct config_list *list, const struct config_node *node,
                                     size_t room, void **ret_items, size_t *ret_count)
{
    size_t size = list->table->size;
    enum warren_status status = WARREN_OK;
    char *items;

    *ret_count = node && !config_node_empty(node) ? node->count : 0;
    if (node && !config_node_empty(node) && node->kind != CONFIG_SEQUENCE)
        return config_fail(scope, node, "%s must be a list (lines that begin with -)", list->name);
    items = arena_alloc(scope->arena, (*ret_count + room) * size);
    if (!items)
        return config_nomem(scope);
    *ret_items = items;
    for (size_t i = 0; i < *ret_count && status == WARREN_OK; i++) {
        status = read_item(scope, config, list, node->items[i], items + i * size);
        if (status == WARREN_OK)
            status = check_twice(scope, list, items, i);
    }
    return status;
}
