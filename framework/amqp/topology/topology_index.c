/* topology_index.c - see topology_index.h. */
#include "amqp/topology/topology_index.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology/argument_same.h"

static int by_exchange(const void *a, const void *b)
{
    return strcmp((*(const struct config_exchange *const *)a)->name,
                  (*(const struct config_exchange *const *)b)->name);
}

static int by_queue(const void *a, const void *b)
{
    return strcmp((*(const struct config_queue *const *)a)->name,
                  (*(const struct config_queue *const *)b)->name);
}

static int compare_bindings(const struct config_binding *a, const struct config_binding *b)
{
    int order = strcmp(a->destination, b->destination);

    if (order == 0)
        order = a->to_exchange - b->to_exchange;
    if (order == 0)
        order = strcmp(a->source, b->source);
    return order != 0 ? order : strcmp(a->routing_key, b->routing_key);
}

static int by_binding(const void *a, const void *b)
{
    return compare_bindings(*(const struct config_binding *const *)a,
                            *(const struct config_binding *const *)b);
}

bool topology_index_make(struct topology_index *index, const struct config_topology *topology,
                         struct arena *arena)
{
    index->topology = topology;
    index->exchanges =
        arena_alloc(arena, (topology->exchange_count + 1) * sizeof(*index->exchanges));
    index->queues = arena_alloc(arena, (topology->queue_count + 1) * sizeof(*index->queues));
    index->bindings = arena_alloc(arena, (topology->binding_count + 1) * sizeof(*index->bindings));
    if (!index->exchanges || !index->queues || !index->bindings)
        return false;
    for (size_t i = 0; i < topology->exchange_count; i++)
        index->exchanges[i] = &topology->exchanges[i];
    for (size_t i = 0; i < topology->queue_count; i++)
        index->queues[i] = &topology->queues[i];
    for (size_t i = 0; i < topology->binding_count; i++)
        index->bindings[i] = &topology->bindings[i];
    qsort(index->exchanges, topology->exchange_count, sizeof(*index->exchanges), by_exchange);
    qsort(index->queues, topology->queue_count, sizeof(*index->queues), by_queue);
    qsort(index->bindings, topology->binding_count, sizeof(*index->bindings), by_binding);
    return true;
}

const struct config_exchange *topology_index_exchange(const struct topology_index *index,
                                                      const char *name)
{
    const struct config_exchange key = {.name = name};
    const struct config_exchange *at = &key;
    const struct config_exchange **found =
        bsearch(&at, index->exchanges, index->topology->exchange_count, sizeof *found, by_exchange);

    return found ? *found : NULL;
}

const struct config_queue *topology_index_queue(const struct topology_index *index,
                                                const char *name)
{
    const struct config_queue key = {.name = name};
    const struct config_queue *at = &key;
    const struct config_queue **found =
        bsearch(&at, index->queues, index->topology->queue_count, sizeof *found, by_queue);

    return found ? *found : NULL;
}

/* Among those of the same ends and key, one with the same arguments. */
bool topology_index_has(const struct topology_index *index, const struct config_binding *binding)
{
    size_t count = index->topology->binding_count;
    const struct config_binding **found =
        bsearch(&binding, index->bindings, count, sizeof *found, by_binding);
    const struct config_binding **end = index->bindings + count;

    if (!found)
        return false;
    while (found > index->bindings && compare_bindings(found[-1], binding) == 0)
        found--;
    for (; found < end && compare_bindings(*found, binding) == 0; found++)
        if (arguments_same(&(*found)->arguments, &binding->arguments))
            return true;
    return false;
}
