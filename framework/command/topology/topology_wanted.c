/* topology_wanted.c - see topology_wanted.h. */
#include "command/topology/topology_wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "publish/delay/delay_parts.h"

#define QUEUE_WORD "{queue}"

/* The parts of the delay queues: an exchange and a queue each level, and the exchange below. */
#define PARTS_MAX (2 * DELAY_LEVELS_MAX + 1)

struct builder {
    const struct config *config;
    const struct config_topology *found;
    struct arena *arena;
    struct config_exchange *exchanges;
    struct config_queue *queues;
    struct config_binding *bindings;
    struct topology_wanted *ret;
    enum warren_status status;
};

bool topology_is_delay(const char *name)
{
    return strncmp(name, DELAY_PREFIX, sizeof DELAY_PREFIX - 1) == 0;
}

/* ---- the file's ---- */

static bool is_exclusive(const struct config *config, const struct config_binding *binding)
{
    const struct config_queue *queue =
        binding->to_exchange ? NULL : config_find_queue(&config->topology, binding->destination);

    return queue && queue->exclusive;
}

static void add_written(struct builder *b)
{
    const struct config_topology *from = &b->config->topology;
    struct config_topology *to = &b->ret->topology;

    for (size_t i = 0; i < from->exchange_count; i++)
        b->exchanges[to->exchange_count++] = from->exchanges[i];
    for (size_t i = 0; i < from->queue_count; i++) {
        if (from->queues[i].exclusive)
            b->ret->exclusive++;
        else
            b->queues[to->queue_count++] = from->queues[i];
    }
    for (size_t i = 0; i < from->binding_count; i++)
        if (!is_exclusive(b->config, &from->bindings[i]))
            b->bindings[to->binding_count++] = from->bindings[i];
}

/* A name without the queue's in it may be that of other workers' dead letters, too. */
static void add_shared(struct builder *b)
{
    const struct config *config = b->config;
    const char **shared = arena_alloc(b->arena, (config->subscription_count + 1) * sizeof *shared);

    if (!shared) {
        b->status = WARREN_ENOMEM;
        return;
    }
    if (!strstr(config->dead_letter.queue, QUEUE_WORD))
        for (size_t i = 0; i < config->subscription_count; i++)
            if (config->subscriptions[i].dead_queue)
                shared[b->ret->shared_count++] = config->subscriptions[i].dead_queue;
    b->ret->shared = shared;
}

/* ---- delay queues ---- */

static bool has_exchange(const struct config_topology *topology, const char *name)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (strcmp(topology->exchanges[i].name, name) == 0)
            return true;
    return false;
}

static bool has_queue(const struct config_topology *topology, const char *name)
{
    return config_find_queue(topology, name) != NULL;
}

/* The file may have it, too. */
static void add_part(struct builder *b, const struct delay_part *part)
{
    struct config_topology *to = &b->ret->topology;

    if (part->exchange.name && !has_exchange(&b->config->topology, part->exchange.name))
        b->exchanges[to->exchange_count++] = part->exchange;
    if (part->queue.name && !has_queue(&b->config->topology, part->queue.name))
        b->queues[to->queue_count++] = part->queue;
    if (part->binding.source)
        b->bindings[to->binding_count++] = part->binding;
    b->ret->delay_queues += part->queue.name != NULL;
}

static struct delay_part *new_part(struct builder *b)
{
    struct delay_part *part = b->status == WARREN_OK ? arena_alloc(b->arena, sizeof *part) : NULL;

    if (!part)
        b->status = WARREN_ENOMEM;
    return part;
}

/* The exchanges of the highest level that is there and of all below; the queues that are there. */
static void add_levels(struct builder *b, bool departures)
{
    struct delay_part *part;
    char name[DELAY_NAME_SIZE];
    unsigned levels = 0;

    for (unsigned level = 0; level < DELAY_LEVELS_MAX; level++) {
        delay_level_name(level, name);
        if (has_exchange(b->found, name) || has_queue(b->found, name))
            levels = level + 1;
    }
    if ((levels > 0 || departures || has_exchange(b->found, DELAY_DELIVER)) &&
        (part = new_part(b))) {
        delay_part_deliver(part);
        add_part(b, part);
    }
    for (unsigned level = 0; level < levels; level++) {
        delay_level_name(level, name);
        if ((part = new_part(b))) {
            delay_part_exchange(level, part);
            add_part(b, part);
        }
        if (has_queue(b->found, name) && (part = new_part(b))) {
            delay_part_queue(level, part);
            add_part(b, part);
        }
    }
}

/* A long name was cut, and ends with a hash: nobody knows what it was. */
static bool is_cut(const char *name)
{
    const char *tilde = strrchr(name, '~');

    if (!tilde || strlen(tilde) != 17)
        return false;
    for (const char *at = tilde + 1; *at; at++)
        if (!ascii_is_xdigit(*at))
            return false;
    return true;
}

static void add_departure(struct builder *b, const char *name)
{
    bool to_queue = strncmp(name, DELAY_TO_QUEUE, sizeof DELAY_TO_QUEUE - 1) == 0;
    const char *destination =
        name + (to_queue ? sizeof DELAY_TO_QUEUE : sizeof DELAY_TO_EXCHANGE) - 1;
    size_t size = sizeof(struct delay) + strlen(destination) + 1;
    struct delay *delay = arena_alloc(b->arena, size);
    struct delay_part *part = new_part(b);

    if (!delay || !part) {
        b->status = WARREN_ENOMEM;
        return;
    }
    *delay = (struct delay){.to_queue = to_queue};
    memcpy(delay->destination, destination, strlen(destination) + 1);
    delay_part_departure(delay, part);
    add_part(b, part);
}

static bool is_departure(const char *name)
{
    return (strncmp(name, DELAY_TO_QUEUE, sizeof DELAY_TO_QUEUE - 1) == 0 ||
            strncmp(name, DELAY_TO_EXCHANGE, sizeof DELAY_TO_EXCHANGE - 1) == 0) &&
           !is_cut(name);
}

static size_t count_departures(const struct config_topology *found)
{
    size_t count = 0;

    for (size_t i = 0; i < found->queue_count; i++)
        count += is_departure(found->queues[i].name);
    return count;
}

/* ---- all of it ---- */

enum warren_status topology_wanted(const struct config *config, const struct config_topology *found,
                                   struct arena *arena, struct topology_wanted *ret)
{
    const struct config_topology *written = &config->topology;
    size_t departures = count_departures(found);
    size_t more = PARTS_MAX + departures;
    struct builder b = {.config = config, .found = found, .arena = arena, .ret = ret};

    *ret = (struct topology_wanted){.exclusive = 0};
    b.exchanges = arena_alloc(arena, (written->exchange_count + more) * sizeof *b.exchanges);
    b.queues = arena_alloc(arena, (written->queue_count + more) * sizeof *b.queues);
    b.bindings = arena_alloc(arena, (written->binding_count + more) * sizeof *b.bindings);
    if (!b.exchanges || !b.queues || !b.bindings)
        return WARREN_ENOMEM;
    ret->topology.exchanges = b.exchanges;
    ret->topology.queues = b.queues;
    ret->topology.bindings = b.bindings;
    add_written(&b);
    add_shared(&b);
    add_levels(&b, departures > 0);
    for (size_t i = 0; i < found->queue_count; i++)
        if (is_departure(found->queues[i].name))
            add_departure(&b, found->queues[i].name);
    return b.status;
}
