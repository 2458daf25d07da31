/* management_items.c - see management_items.h. */
#include "command/topology/management_items.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"

#define NAME_MAX_BYTES 255

/* The longest of an answer's own words in an error. */
#define WORD_MAX 40

/* One answer being read. */
struct reader {
    struct arena *arena;
    struct warren_error *error;
    const char *what; /* "exchange" */
    size_t index;     /* of the item at hand */
    bool skip; /* no file can have the item at hand: a NUL, a name that is "" or has a line end */
};

static enum warren_status malformed(const struct reader *r, const char *key, const char *expected)
{
    return error_set(r->error, WARREN_EPROTOCOL,
                     "the answer is malformed: \"%.*s\" of %s %zu of the list is no %s", WORD_MAX,
                     key, r->what, r->index + 1, expected);
}

static enum warren_status nomem(const struct reader *r)
{
    return error_set(r->error, WARREN_ENOMEM, "no memory for what the broker has");
}

/* ---- members ---- */

/* A copy of a text of at most @max bytes. */
static enum warren_status take_text(struct reader *r, const json_t *item, const char *key,
                                    size_t max, const char **ret)
{
    const json_t *value = json_object_get(item, key);
    size_t len = json_string_length(value);

    if (!json_is_string(value))
        return malformed(r, key, "text");
    if (len > max)
        return malformed(r, key, "name of at most 255 bytes");
    r->skip = r->skip || memchr(json_string_value(value), '\0', len);
    *ret = arena_copy(r->arena, json_string_value(value), len);
    return *ret ? WARREN_OK : nomem(r);
}

/* The default exchange and a routing key may be "". */
static enum warren_status take_any_name(struct reader *r, const json_t *item, const char *key,
                                        const char **ret)
{
    enum warren_status status = take_text(r, item, key, NAME_MAX_BYTES, ret);

    if (status == WARREN_OK && strcmp(key, "routing_key") != 0 && strpbrk(*ret, "\r\n"))
        r->skip = true;
    return status;
}

static enum warren_status take_name(struct reader *r, const json_t *item, const char *key,
                                    const char **ret)
{
    enum warren_status status = take_any_name(r, item, key, ret);

    return status == WARREN_OK && !**ret ? malformed(r, key, "name") : status;
}

static enum warren_status take_bool(struct reader *r, const json_t *item, const char *key,
                                    bool *ret)
{
    const json_t *value = json_object_get(item, key);

    if (!json_is_boolean(value))
        return malformed(r, key, "boolean");
    *ret = json_is_true(value);
    return WARREN_OK;
}

/* ---- arguments ---- */

static enum warren_status read_table(struct reader *r, const json_t *object, unsigned depth,
                                     struct warren_table *ret);

static enum warren_status read_value(struct reader *r, const json_t *json, unsigned depth,
                                     struct warren_value *ret);

static enum warren_status read_array(struct reader *r, const json_t *list, unsigned depth,
                                     struct warren_array *ret)
{
    size_t count = json_array_size(list);
    struct warren_value *values = arena_alloc(r->arena, (count + 1) * sizeof *values);
    enum warren_status status = WARREN_OK;

    if (!values)
        return nomem(r);
    for (size_t i = 0; i < count && status == WARREN_OK; i++)
        status = read_value(r, json_array_get(list, i), depth, &values[i]);
    *ret = (struct warren_array){values, count};
    return status;
}

static enum warren_status read_string(struct reader *r, const json_t *json,
                                      struct warren_value *ret)
{
    size_t len = json_string_length(json);
    char *copy = arena_copy(r->arena, json_string_value(json), len);

    if (!copy)
        return nomem(r);
    r->skip = r->skip || memchr(copy, '\0', len);
    if (strcmp(copy, "undefined") == 0) /* so Erlang calls a void */
        return WARREN_OK;
    ret->type = WARREN_STRING;
    ret->as.bytes = (struct warren_bytes){copy, len};
    return WARREN_OK;
}

static enum warren_status read_value(struct reader *r, const json_t *json, unsigned depth,
                                     struct warren_value *ret)
{
    *ret = (struct warren_value){.type = WARREN_VOID};
    if (depth > WARREN_NESTING_MAX)
        return malformed(r, "arguments", "table of at most 16 levels");
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        ret->type = WARREN_TABLE;
        return read_table(r, json, depth + 1, &ret->as.table);
    case JSON_ARRAY:
        ret->type = WARREN_ARRAY;
        return read_array(r, json, depth + 1, &ret->as.array);
    case JSON_STRING:
        return read_string(r, json, ret);
    case JSON_INTEGER:
        ret->type = WARREN_I64;
        ret->as.integer = json_integer_value(json);
        return WARREN_OK;
    case JSON_REAL:
        ret->type = WARREN_F64;
        ret->as.real = json_real_value(json);
        return isfinite(ret->as.real) ? WARREN_OK : malformed(r, "arguments", "table of numbers");
    case JSON_TRUE:
    case JSON_FALSE:
        ret->type = WARREN_BOOL;
        ret->as.boolean = json_is_true(json);
        return WARREN_OK;
    case JSON_NULL:
        return WARREN_OK;
    }
    return malformed(r, "arguments", "table");
}

static enum warren_status read_table(struct reader *r, const json_t *object, unsigned depth,
                                     struct warren_table *ret)
{
    size_t count = json_object_size(object);
    struct warren_field *fields = arena_alloc(r->arena, (count + 1) * sizeof *fields);
    enum warren_status status = WARREN_OK;
    const char *key;
    json_t *value;
    size_t i = 0;

    if (count > MANAGEMENT_FIELDS_MAX)
        return malformed(r, "arguments", "table of at most 1024 fields");
    if (!fields)
        return nomem(r);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (strlen(key) > NAME_MAX_BYTES)
            return malformed(r, "arguments", "table whose names have at most 255 bytes");
        r->skip = r->skip || !*key;
        fields[i].name = arena_copy(r->arena, key, strlen(key));
        if (!fields[i].name)
            return nomem(r);
        status = read_value(r, value, depth, &fields[i].value);
        if (status != WARREN_OK)
            return status;
        i++;
    }
    *ret = (struct warren_table){fields, count};
    return WARREN_OK;
}

/* An empty table may come as an empty list. */
static enum warren_status take_arguments(struct reader *r, const json_t *item,
                                         struct warren_table *ret)
{
    const json_t *value = json_object_get(item, "arguments");

    *ret = (struct warren_table){NULL, 0};
    if (json_is_array(value) && json_array_size(value) == 0)
        return WARREN_OK;
    if (!json_is_object(value))
        return malformed(r, "arguments", "table");
    return read_table(r, value, 2, ret);
}

/* ---- items ---- */

static enum warren_status read_exchange(struct reader *r, const json_t *item,
                                        struct config_exchange *ret)
{
    enum warren_status status = take_any_name(r, item, "name", &ret->name);

    if (status == WARREN_OK)
        status = take_name(r, item, "type", &ret->type);
    if (status == WARREN_OK)
        status = take_bool(r, item, "durable", &ret->durable);
    if (status == WARREN_OK)
        status = take_bool(r, item, "auto_delete", &ret->auto_delete);
    if (status == WARREN_OK)
        status = take_bool(r, item, "internal", &ret->internal);
    return status == WARREN_OK ? take_arguments(r, item, &ret->arguments) : status;
}

/* The file says it beside the name, and some brokers add it where nobody gave it. */
static const char *take_type_argument(struct warren_table *arguments)
{
    struct warren_field *fields = (struct warren_field *)(uintptr_t)arguments->fields;
    const char *type = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < arguments->count; i++) {
        if (strcmp(fields[i].name, "x-queue-type") != 0)
            fields[kept++] = fields[i];
        else if (fields[i].value.type == WARREN_STRING)
            type = fields[i].value.as.bytes.data;
    }
    arguments->count = kept;
    return type;
}

static enum warren_status read_queue(struct reader *r, const json_t *item, struct config_queue *ret)
{
    const char *type;
    enum warren_status status = take_name(r, item, "name", &ret->name);

    if (status == WARREN_OK)
        status = take_bool(r, item, "durable", &ret->durable);
    if (status == WARREN_OK)
        status = take_bool(r, item, "auto_delete", &ret->auto_delete);
    if (status == WARREN_OK && json_object_get(item, "exclusive"))
        status = take_bool(r, item, "exclusive", &ret->exclusive);
    if (status == WARREN_OK)
        status = take_arguments(r, item, &ret->arguments);
    if (status != WARREN_OK)
        return status;
    type = take_type_argument(&ret->arguments);
    ret->type = type ? type : "classic";
    return json_object_get(item, "type") ? take_name(r, item, "type", &ret->type) : WARREN_OK;
}

static enum warren_status read_binding(struct reader *r, const json_t *item,
                                       struct config_binding *ret, const char **ret_key)
{
    const char *kind = NULL;
    enum warren_status status = take_any_name(r, item, "source", &ret->source);

    if (status == WARREN_OK)
        status = take_name(r, item, "destination", &ret->destination);
    if (status == WARREN_OK)
        status = take_name(r, item, "destination_type", &kind);
    if (status == WARREN_OK && strcmp(kind, "queue") != 0 && strcmp(kind, "exchange") != 0)
        status = malformed(r, "destination_type", "queue and no exchange");
    if (status == WARREN_OK)
        status = take_any_name(r, item, "routing_key", &ret->routing_key);
    if (status == WARREN_OK)
        status = take_arguments(r, item, &ret->arguments);
    if (status == WARREN_OK)
        status = take_text(r, item, "properties_key", SIZE_MAX, ret_key);
    if (status != WARREN_OK)
        return status;
    ret->to_exchange = strcmp(kind, "exchange") == 0;
    ret->queue = ret->to_exchange ? "" : ret->destination;
    ret->exchange = ret->to_exchange ? ret->destination : "";
    return WARREN_OK;
}

/* ---- lists ---- */

static enum warren_status load(struct reader *r, const char *body, size_t len, json_t **ret)
{
    json_error_t why;

    *ret = json_loadb(body, len, JSON_ALLOW_NUL, &why);
    if (!*ret)
        return error_set(r->error, WARREN_EPROTOCOL, "the answer is no JSON: %s", why.text);
    if (json_is_array(*ret) && json_array_size(*ret) <= MANAGEMENT_ITEMS_MAX)
        return WARREN_OK;
    error_set(r->error, WARREN_EPROTOCOL, "the answer is no list of at most %d %ss",
              MANAGEMENT_ITEMS_MAX, r->what);
    json_decref(*ret);
    return WARREN_EPROTOCOL;
}

/* The next item, of which @r knows then; NULL: there is none any more, or it is none. */
static const json_t *next(struct reader *r, const json_t *list, size_t i,
                          enum warren_status *status)
{
    const json_t *item = json_array_get(list, i);

    r->index = i;
    r->skip = false;
    if (*status != WARREN_OK || !item)
        return NULL;
    if (!json_is_object(item))
        *status = malformed(r, "item", "object");
    return *status == WARREN_OK ? item : NULL;
}

enum warren_status management_read_exchanges(const char *body, size_t len, struct arena *arena,
                                             struct management_topology *ret,
                                             struct warren_error *error)
{
    struct reader r = {.arena = arena, .error = error, .what = "exchange"};
    struct config_exchange *exchanges = NULL;
    const json_t *item;
    json_t *list = NULL;
    enum warren_status status = load(&r, body, len, &list);
    size_t count = 0;

    if (status != WARREN_OK)
        return status;
    exchanges = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *exchanges);
    if (!exchanges)
        status = nomem(&r);
    for (size_t i = 0; (item = next(&r, list, i, &status)); i++) {
        exchanges[count] = (struct config_exchange){.name = NULL};
        status = read_exchange(&r, item, &exchanges[count]);
        if (status != WARREN_OK)
            break;
        ret->skipped += r.skip;
        count += !r.skip && *exchanges[count].name;
    }
    ret->topology.exchanges = exchanges;
    ret->topology.exchange_count = count;
    json_decref(list);
    return status;
}

enum warren_status management_read_queues(const char *body, size_t len, struct arena *arena,
                                          struct management_topology *ret,
                                          struct warren_error *error)
{
    struct reader r = {.arena = arena, .error = error, .what = "queue"};
    struct config_queue *queues = NULL;
    const json_t *item;
    json_t *list = NULL;
    enum warren_status status = load(&r, body, len, &list);
    size_t count = 0;

    if (status != WARREN_OK)
        return status;
    queues = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *queues);
    if (!queues)
        status = nomem(&r);
    for (size_t i = 0; (item = next(&r, list, i, &status)); i++) {
        queues[count] = (struct config_queue){.name = NULL};
        status = read_queue(&r, item, &queues[count]);
        if (status != WARREN_OK)
            break;
        ret->skipped += r.skip;
        count += !r.skip;
    }
    ret->topology.queues = queues;
    ret->topology.queue_count = count;
    json_decref(list);
    return status;
}

enum warren_status management_read_bindings(const char *body, size_t len, struct arena *arena,
                                            struct management_topology *ret,
                                            struct warren_error *error)
{
    struct reader r = {.arena = arena, .error = error, .what = "binding"};
    struct config_binding *bindings = NULL;
    const char **keys = NULL;
    const json_t *item;
    json_t *list = NULL;
    enum warren_status status = load(&r, body, len, &list);
    size_t count = 0;

    if (status != WARREN_OK)
        return status;
    bindings = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *bindings);
    keys = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *keys);
    if (!bindings || !keys)
        status = nomem(&r);
    for (size_t i = 0; (item = next(&r, list, i, &status)); i++) {
        bindings[count] = (struct config_binding){.source = NULL};
        status = read_binding(&r, item, &bindings[count], &keys[count]);
        if (status != WARREN_OK)
            break;
        ret->skipped += r.skip;
        count += !r.skip && *bindings[count].source;
    }
    ret->topology.bindings = bindings;
    ret->topology.binding_count = count;
    ret->binding_keys = keys;
    json_decref(list);
    return status;
}
