#include "config/delivery_limits.h"

#include <string.h>

#include "config/mapping.h"

/*
 * The one value that means "none" to every RabbitMQ: with -1, which says so from 4.0 on, 3.10 gives
 * a message up at its second delivery. So it stays right when the broker is upgraded, which an
 * argument of a queue that exists could not follow.
 */
#define NO_DELIVERY_LIMIT INT64_C(1000000000)

static bool needs_one(const struct config_queue *queue)
{
    return !queue->passive && strcmp(queue->type, "quorum") == 0 &&
           !warren_table_get(&queue->arguments, CONFIG_DELIVERY_LIMIT);
}

static enum warren_status add_one(struct config_scope *scope, struct config_queue *queue)
{
    const struct warren_table *given = &queue->arguments;
    struct warren_field *fields = arena_alloc(scope->arena, (given->count + 1) * sizeof *fields);

    if (!fields)
        return config_nomem(scope);
    if (given->count > 0)
        memcpy(fields, given->fields, given->count * sizeof *fields);
    fields[given->count] = warren_field_i64(CONFIG_DELIVERY_LIMIT, NO_DELIVERY_LIMIT);
    queue->arguments = (struct warren_table){fields, given->count + 1};
    queue->limit_added = true;
    return WARREN_OK;
}

enum warren_status config_delivery_limits(struct config_scope *scope,
                                          struct config_private *private)
{
    struct config_topology *declared = &private->config.declared;
    struct config_queue *queues = arena_alloc(scope->arena, declared->queue_count * sizeof *queues);
    enum warren_status status = WARREN_OK;

    if (!queues && declared->queue_count > 0)
        return config_nomem(scope);
    for (size_t i = 0; i < declared->queue_count && status == WARREN_OK; i++) {
        queues[i] = declared->queues[i];
        if (needs_one(&queues[i]))
            status = add_one(scope, &queues[i]);
    }
    declared->queues = queues;
    return status;
}
