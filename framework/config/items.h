/* items.h - the lists of the file whose items are rows of options.def: exchanges, queues, bindings,
 * subscriptions. Thread: none of its own.
 */
#ifndef WARREN_CONFIG_ITEMS_H
#define WARREN_CONFIG_ITEMS_H

#include "config/options.h"

/** A list of the file. */
struct config_list {
    const char *name; /* "topology.queues" */
    const struct config_table *table;
    /** What no row can say of an item that is read otherwise; may complete it. NULL: nothing. */
    enum warren_status (*finish)(struct config_scope *scope, void *item);
};

/**
 * Read @node, a list (NULL and empty are fine), into structs of the list's table.
 *
 * @config     what is not given is inherited from it; after config_options_finish()
 * @room       the most items that may be added
 * @ret_items  in @scope->arena
 */
enum warren_status config_items_read(struct config_scope *scope,
                                     const struct config_private *config,
                                     const struct config_list *list, const struct config_node *node,
                                     size_t room, void **ret_items, size_t *ret_count);

#endif
