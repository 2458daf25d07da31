/* part.c - parts of a subscription with objects of their own: `order`, `fair`, `lanes`, `batch`. */
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

void *config_part_read(struct config_scope *scope, const struct config_node *node,
                       const struct config_part *part, enum warren_status *ret_status)
{
    struct config_value *values;
    struct config_written *object;

    *ret_status = WARREN_OK;
    if (!node)
        return NULL;
    if (config_node_empty(node)) {
        *ret_status = config_fail(scope, node, "%s is empty, expected a mapping such as `%s: %s`",
                                  part->name, part->name, part->example);
        return NULL;
    }
    object = arena_alloc(scope->arena, part->table->size);
    values = config_values_new(scope, part->table->rows);
    if (!object || !values) {
        *ret_status = config_nomem(scope);
        return NULL;
    }
    *ret_status = config_mapping_read(scope, node, part->what, part->table->rows, values);
    if (*ret_status != WARREN_OK)
        return NULL;
    memset(object, 0, part->table->size);
    *object = (struct config_written){node, values};
    config_store(part->table, values, object);
    return object;
}
