/* topology_diff.c - see topology_diff.h. */
#include "amqp/topology/topology_diff.h"

#include <string.h>

#include "amqp/topology/argument_same.h"
#include "amqp/topology/topology_index.h"

/* ---- one comparison ---- */

struct diff {
    const struct topology_pair *pair;
    struct topology_index wanted;
    struct topology_index found;
    struct arena *arena;
    struct topology_step *steps; /* room for all wanted and all bindings that were found */
    size_t count;
    /* Of the item at hand. */
    struct topology_difference *differences;
    size_t difference_count;
};

static void add_step(struct diff *diff, enum topology_step_kind kind, struct declare_item item)
{
    diff->steps[diff->count++] = (struct topology_step){
        .kind = kind,
        .item = item,
        .differences = diff->differences,
        .difference_count = diff->difference_count,
    };
    diff->differences = NULL;
    diff->difference_count = 0;
}

/* Room for the differences of an item whose arguments are these. */
static bool make_room(struct diff *diff, const struct warren_table *a, const struct warren_table *b)
{
    size_t most = a->count + b->count + 4;

    diff->difference_count = 0;
    diff->differences = arena_alloc(diff->arena, most * sizeof *diff->differences);
    return diff->differences != NULL;
}

static void differ(struct diff *diff, const char *what, struct warren_value file,
                   struct warren_value broker)
{
    if (!argument_same(&file, &broker))
        diff->differences[diff->difference_count++] =
            (struct topology_difference){what, file, broker};
}

static void differ_text(struct diff *diff, const char *what, const char *file, const char *broker)
{
    differ(diff, what, warren_field_text("", file).value, warren_field_text("", broker).value);
}

static void differ_bool(struct diff *diff, const char *what, bool file, bool broker)
{
    differ(diff, what, warren_field_bool("", file).value, warren_field_bool("", broker).value);
}

/* @compares: whether RabbitMQ looks at an argument of that name */
static void differ_table(struct diff *diff, const struct warren_table *file,
                         const struct warren_table *broker, bool (*compares)(const char *name))
{
    static const struct warren_value none;

    for (size_t i = 0; i < file->count; i++) {
        const char *name = file->fields[i].name;
        const struct warren_value *other = warren_table_get(broker, name);

        if (compares(name))
            differ(diff, name, file->fields[i].value, other ? *other : none);
    }
    for (size_t i = 0; i < broker->count; i++) {
        const char *name = broker->fields[i].name;

        if (compares(name) && !warren_table_get(file, name))
            differ(diff, name, none, broker->fields[i].value);
    }
}

/* ---- exchanges ---- */

static bool is_alternate(const char *name)
{
    return strcmp(name, "alternate-exchange") == 0;
}

/* The type of a plugin may look at more than that. */
static bool is_of_exchange(const char *name)
{
    return is_alternate(name) || strncmp(name, "x-", 2) == 0;
}

static enum warren_status diff_exchange(struct diff *diff, const struct config_exchange *wanted)
{
    struct declare_item item = {.exchange = wanted};
    const struct config_exchange *found = topology_index_exchange(&diff->found, wanted->name);
    bool plugin = strncmp(wanted->type, "x-", 2) == 0;

    if (!found || wanted->passive) {
        if (!found)
            add_step(diff, wanted->passive ? TOPOLOGY_ABSENT : TOPOLOGY_DECLARE, item);
        return WARREN_OK;
    }
    if (!make_room(diff, &wanted->arguments, &found->arguments))
        return WARREN_ENOMEM;
    differ_text(diff, "type", wanted->type, found->type);
    differ_bool(diff, "durable", wanted->durable, found->durable);
    differ_bool(diff, "auto_delete", wanted->auto_delete, found->auto_delete);
    differ_bool(diff, "internal", wanted->internal, found->internal);
    differ_table(diff, &wanted->arguments, &found->arguments,
                 plugin ? is_of_exchange : is_alternate);
    if (diff->difference_count > 0)
        add_step(diff, TOPOLOGY_DIFFERENT, item);
    return WARREN_OK;
}

/* ---- queues ---- */

/* Others are notes that RabbitMQ keeps and never looks at. */
static bool is_of_queue(const char *name)
{
    return strncmp(name, "x-", 2) == 0;
}

/* Without the limit that was added to it, where the queue of the broker has none. */
static struct warren_table arguments_of(const struct config_queue *wanted,
                                        const struct config_queue *found, bool *ret_as_it_is)
{
    struct warren_table arguments = wanted->arguments;

    *ret_as_it_is =
        wanted->limit_added && !warren_table_get(&found->arguments, CONFIG_DELIVERY_LIMIT);
    if (*ret_as_it_is)
        arguments.count--;
    return arguments;
}

static enum warren_status diff_queue(struct diff *diff, const struct config_queue *wanted)
{
    struct declare_item item = {.queue = wanted};
    const struct config_queue *found = topology_index_queue(&diff->found, wanted->name);
    struct warren_table arguments;
    bool as_it_is;

    if (!found || wanted->passive) {
        if (!found)
            add_step(diff, wanted->passive ? TOPOLOGY_ABSENT : TOPOLOGY_DECLARE, item);
        return WARREN_OK;
    }
    if (!make_room(diff, &wanted->arguments, &found->arguments))
        return WARREN_ENOMEM;
    arguments = arguments_of(wanted, found, &as_it_is);
    differ_text(diff, "type", wanted->type, found->type);
    differ_bool(diff, "durable", wanted->durable, found->durable);
    differ_bool(diff, "exclusive", wanted->exclusive, found->exclusive);
    differ_bool(diff, "auto_delete", wanted->auto_delete, found->auto_delete);
    differ_table(diff, &arguments, &found->arguments, is_of_queue);
    if (diff->difference_count > 0)
        add_step(diff, TOPOLOGY_DIFFERENT, item);
    else if (as_it_is)
        add_step(diff, TOPOLOGY_AS_IT_IS, item);
    return WARREN_OK;
}

/* ---- bindings ---- */

/* Nobody has that end of @binding, and nobody will. */
static bool lacks_exchange(const struct diff *diff, const char *name)
{
    const struct config_exchange *wanted = topology_index_exchange(&diff->wanted, name);

    return !(wanted && !wanted->passive) && !topology_index_exchange(&diff->found, name);
}

static bool lacks_queue(const struct diff *diff, const char *name)
{
    const struct config_queue *wanted = topology_index_queue(&diff->wanted, name);

    return !(wanted && !wanted->passive) && !topology_index_queue(&diff->found, name);
}

static enum warren_status lacks(struct diff *diff, const struct config_binding *binding,
                                struct declare_item *ret)
{
    struct config_exchange *exchange = arena_alloc(diff->arena, sizeof *exchange);
    struct config_queue *queue = arena_alloc(diff->arena, sizeof *queue);

    *ret = (struct declare_item){NULL, NULL, NULL};
    if (!exchange || !queue)
        return WARREN_ENOMEM;
    *queue = (struct config_queue){.name = binding->destination, .passive = true};
    *exchange = (struct config_exchange){.name = binding->source, .passive = true};
    if (lacks_exchange(diff, binding->source)) {
        ret->exchange = exchange;
    } else if (!binding->to_exchange && lacks_queue(diff, binding->destination)) {
        ret->queue = queue;
    } else if (binding->to_exchange && lacks_exchange(diff, binding->destination)) {
        exchange->name = binding->destination;
        ret->exchange = exchange;
    }
    return WARREN_OK;
}

static enum warren_status diff_binding(struct diff *diff, const struct config_binding *wanted)
{
    struct declare_item item = {.binding = wanted};
    struct declare_item missing;
    enum warren_status status;

    if (topology_index_has(&diff->found, wanted))
        return WARREN_OK;
    status = lacks(diff, wanted, &missing);
    if (status != WARREN_OK)
        return status;
    add_step(diff, missing.exchange || missing.queue ? TOPOLOGY_ABSENT : TOPOLOGY_DECLARE, item);
    diff->steps[diff->count - 1].missing = missing;
    return WARREN_OK;
}

static bool is_shared(const struct topology_pair *pair, const char *queue)
{
    for (size_t i = 0; i < pair->shared_count; i++)
        if (strcmp(pair->shared[i], queue) == 0)
            return true;
    return false;
}

static bool is_ours(const struct diff *diff, const struct config_binding *binding)
{
    const struct config_exchange *exchange;
    const struct config_queue *queue;

    if (!*binding->source)
        return false;
    if (binding->to_exchange) {
        exchange = topology_index_exchange(&diff->wanted, binding->destination);
        return exchange && !exchange->passive;
    }
    queue = topology_index_queue(&diff->wanted, binding->destination);
    if (!queue || queue->passive)
        return false;
    if (!is_shared(diff->pair, binding->destination))
        return true;
    exchange = topology_index_exchange(&diff->wanted, binding->source);
    return exchange && !exchange->passive;
}

/* ---- all of it ---- */

static enum warren_status diff_all(struct diff *diff)
{
    const struct config_topology *wanted = diff->pair->wanted;
    const struct config_topology *found = diff->pair->found;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; i < wanted->exchange_count && status == WARREN_OK; i++)
        status = diff_exchange(diff, &wanted->exchanges[i]);
    for (size_t i = 0; i < wanted->queue_count && status == WARREN_OK; i++)
        status = diff_queue(diff, &wanted->queues[i]);
    for (size_t i = 0; i < wanted->binding_count && status == WARREN_OK; i++)
        status = diff_binding(diff, &wanted->bindings[i]);
    diff->differences = NULL;
    diff->difference_count = 0;
    for (size_t i = 0; i < found->binding_count && status == WARREN_OK; i++) {
        const struct config_binding *binding = &found->bindings[i];

        if (is_ours(diff, binding) && !topology_index_has(&diff->wanted, binding))
            add_step(diff, TOPOLOGY_LEFT_OVER, (struct declare_item){.binding = binding});
    }
    return status;
}

enum warren_status topology_diff(const struct topology_pair *pair, struct arena *arena,
                                 struct topology_steps *ret)
{
    const struct config_topology *wanted = pair->wanted;
    size_t most = wanted->exchange_count + wanted->queue_count + wanted->binding_count +
                  pair->found->binding_count;
    struct diff diff = {.pair = pair, .arena = arena};
    enum warren_status status = WARREN_ENOMEM;

    *ret = (struct topology_steps){NULL, 0};
    diff.steps = arena_alloc(arena, (most + 1) * sizeof *diff.steps);
    if (diff.steps && topology_index_make(&diff.wanted, wanted, arena) &&
        topology_index_make(&diff.found, pair->found, arena))
        status = diff_all(&diff);
    if (status == WARREN_OK)
        *ret = (struct topology_steps){diff.steps, diff.count};
    return status;
}

size_t topology_steps_count(const struct topology_steps *steps, enum topology_step_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < steps->count; i++)
        count += steps->steps[i].kind == kind;
    return count;
}

bool topology_step_is_change(const struct topology_step *step)
{
    return step->kind != TOPOLOGY_AS_IT_IS;
}
