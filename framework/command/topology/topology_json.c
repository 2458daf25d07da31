/* topology_json.c - see topology_json.h. */
#include "command/topology/topology_json.h"

#include "command/cli/print.h"
#include "command/topology/topology_print.h"

static json_t *json_value(const struct warren_value *value);

static json_t *json_table(const struct warren_table *table)
{
    json_t *object = json_object();

    for (size_t i = 0; i < table->count; i++)
        json_object_set_new(object, table->fields[i].name, json_value(&table->fields[i].value));
    return object;
}

static json_t *json_list(const struct warren_array *array)
{
    json_t *list = json_array();

    for (size_t i = 0; i < array->count; i++)
        json_array_append_new(list, json_value(&array->values[i]));
    return list;
}

static json_t *json_value(const struct warren_value *value)
{
    switch (value->type) {
    case WARREN_BOOL:
        return json_boolean(value->as.boolean);
    case WARREN_I64:
        return json_integer(value->as.integer);
    case WARREN_F64:
        return json_real(value->as.real);
    case WARREN_STRING:
        return cli_json_bytes(value->as.bytes);
    case WARREN_ARRAY:
        return json_list(&value->as.array);
    case WARREN_TABLE:
        return json_table(&value->as.table);
    default: /* neither the file nor the API has others */
        return json_null();
    }
}

static json_t *json_exchange(const struct config_exchange *exchange)
{
    json_t *object =
        json_pack("{s:s, s:o}", "kind", "exchange", "name", cli_json_text(exchange->name));

    if (exchange->passive) {
        json_object_set_new(object, "passive", json_true());
        return object;
    }
    json_object_set_new(object, "type", cli_json_text(exchange->type));
    json_object_set_new(object, "durable", json_boolean(exchange->durable));
    json_object_set_new(object, "auto_delete", json_boolean(exchange->auto_delete));
    json_object_set_new(object, "internal", json_boolean(exchange->internal));
    json_object_set_new(object, "arguments", json_table(&exchange->arguments));
    return object;
}

static json_t *json_queue(const struct config_queue *queue)
{
    json_t *object = json_pack("{s:s, s:o}", "kind", "queue", "name", cli_json_text(queue->name));

    if (queue->passive) {
        json_object_set_new(object, "passive", json_true());
        return object;
    }
    json_object_set_new(object, "type", cli_json_text(queue->type));
    json_object_set_new(object, "durable", json_boolean(queue->durable));
    json_object_set_new(object, "auto_delete", json_boolean(queue->auto_delete));
    json_object_set_new(object, "arguments", json_table(&queue->arguments));
    return object;
}

json_t *topology_json_item(const struct declare_item *item)
{
    const struct config_binding *binding = item->binding;
    json_t *object;

    if (item->exchange)
        return json_exchange(item->exchange);
    if (item->queue)
        return json_queue(item->queue);
    object = json_pack("{s:s, s:o}", "kind", "binding", "exchange", cli_json_text(binding->source));
    json_object_set_new(object, binding->to_exchange ? "to_exchange" : "queue",
                        cli_json_text(binding->destination));
    json_object_set_new(object, "routing_key", cli_json_text(binding->routing_key));
    json_object_set_new(object, "arguments", json_table(&binding->arguments));
    return object;
}

static json_t *json_step(const struct topology_step *step)
{
    json_t *object = topology_json_item(&step->item);
    json_t *list = step->difference_count > 0 ? json_array() : NULL;

    for (size_t i = 0; i < step->difference_count; i++) {
        const struct topology_difference *d = &step->differences[i];

        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "what", cli_json_text(d->what), "file",
                                        json_value(&d->file), "broker", json_value(&d->broker)));
    }
    if (list)
        json_object_set_new(object, "differences", list);
    if (step->words)
        json_object_set_new(object, "broker_says", cli_json_text(step->words));
    if (step->kind == TOPOLOGY_DIFFERENT)
        json_object_set_new(object, "to_do", json_string(topology_remedy(step)));
    if (step->missing.exchange || step->missing.queue)
        json_object_set_new(object, "missing", topology_json_item(&step->missing));
    return object;
}

json_t *topology_json_plan(const struct topology_view *view)
{
    static const char *const names[] = {
        [TOPOLOGY_DECLARE] = "declare",     [TOPOLOGY_DIFFERENT] = "different",
        [TOPOLOGY_REFUSED] = "refused",     [TOPOLOGY_ABSENT] = "absent",
        [TOPOLOGY_LEFT_OVER] = "left_over", [TOPOLOGY_AS_IT_IS] = "as_it_is"};
    json_t *object = json_pack("{s:o, s:b, s:I}", "where", cli_json_text(view->where), "whole",
                               view->whole, "changes", (json_int_t)topology_changes(view));

    if (!view->whole)
        json_object_set_new(object, "not_seen", cli_json_text(view->why));
    for (size_t kind = 0; kind < sizeof names / sizeof *names; kind++) {
        json_t *list = json_array();

        for (size_t i = 0; i < view->steps.count; i++)
            if ((size_t)view->steps.steps[i].kind == kind)
                json_array_append_new(list, json_step(&view->steps.steps[i]));
        json_object_set_new(object, names[kind], list);
    }
    return object;
}
