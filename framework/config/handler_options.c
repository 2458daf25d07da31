/* handler_options.c - the options of one subscription, checked against its handler's table, and
 * the public functions by which the handler reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/mapping.h"
#include "config/options.h"

struct warren_options {
    const struct warren_option *table; /* the plugin's; it stays loaded until after close */
    size_t count;
    const char *handler;
    struct config_value *values;
};

/* A mistake of the plugin's author, found before it can crash the parser. */
static enum warren_status check_table(struct config_scope *scope, const char *handler,
                                      const struct warren_option *table)
{
    for (; table && table->name; table++) {
        if (table->type < WARREN_OPTION_BOOL || table->type > WARREN_OPTION_LIST)
            return error_set(scope->error, WARREN_ECONFIG,
                             "handler %s: its option '%s' has the unknown type %d", handler,
                             table->name, (int)table->type);
        if (table->type == WARREN_OPTION_ENUM && !table->choices)
            return error_set(scope->error, WARREN_ECONFIG,
                             "handler %s: its option '%s' names no choices", handler, table->name);
    }
    return WARREN_OK;
}

/* Where nothing is written, errors point to the subscription. */
static const struct config_node *nothing(struct config_scope *scope,
                                         const struct config_private *private,
                                         const struct config_subscription *subscription)
{
    struct config_source *source = arena_alloc(scope->arena, sizeof *source);

    if (!source)
        return NULL;
    *source = (struct config_source){.name = subscription->where ? subscription->where
                                                                 : subscription->handler,
                                     .folder = private->file.folder};
    return config_node_text(scope, source, "");
}

enum warren_status config_handler_options(struct config *config,
                                          const struct config_subscription *subscription,
                                          const struct warren_option *table,
                                          const struct warren_options **ret_options,
                                          struct warren_error *error)
{
    struct config_private *private = config->private;
    struct config_scope scope = {&private->arena, error};
    const struct config_node *node = subscription->options;
    struct warren_options *options = arena_alloc(scope.arena, sizeof *options);
    size_t count = config_table_count(table);
    char what[WARREN_ERROR_TEXT_MAX / 2];
    enum warren_status status = check_table(&scope, subscription->handler, table);

    if (status != WARREN_OK)
        return status;
    if (!node)
        node = nothing(&scope, private, subscription);
    if (!node || !options)
        return config_nomem(&scope);
    *options = (struct warren_options){
        .table = table,
        .count = count,
        .handler = subscription->handler,
        .values = arena_alloc(scope.arena, count * sizeof(*options->values))};
    if (!options->values)
        return config_nomem(&scope);
    memset(options->values, 0, count * sizeof(*options->values));
    snprintf(what, sizeof what, "the options of %s", subscription->handler);
    status = config_mapping_read(&scope, node, what, table, NULL, options->values);
    if (status == WARREN_OK)
        *ret_options = options;
    return status;
}

/* The value of @name if its type is one of @types, a set of bits; otherwise the end. */
static const struct config_value *lookup(const struct warren_options *options, const char *name,
                                         unsigned types, const char *function)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->table[i].name, name) != 0)
            continue;
        if (types & 1U << options->table[i].type)
            return &options->values[i];
        fprintf(stderr, "warren: handler %s: %s(\"%s\"): its table declares it as %s\n",
                options->handler, function, name, config_type_name(options->table[i].type));
        abort();
    }
    fprintf(stderr, "warren: handler %s: %s(\"%s\"): its table declares no such option\n",
            options->handler, function, name);
    abort();
}

bool warren_options_bool(const struct warren_options *options, const char *name)
{
    return lookup(options, name, 1U << WARREN_OPTION_BOOL, __func__)->boolean;
}

int64_t warren_options_int(const struct warren_options *options, const char *name)
{
    return lookup(options, name,
                  1U << WARREN_OPTION_INT | 1U << WARREN_OPTION_SIZE | 1U << WARREN_OPTION_DURATION,
                  __func__)
        ->integer;
}

const char *warren_options_text(const struct warren_options *options, const char *name)
{
    return lookup(options, name,
                  1U << WARREN_OPTION_STRING | 1U << WARREN_OPTION_PATH | 1U << WARREN_OPTION_ENUM,
                  __func__)
        ->text;
}

const char *const *warren_options_list(const struct warren_options *options, const char *name,
                                       size_t *count)
{
    const struct config_value *value = lookup(options, name, 1U << WARREN_OPTION_LIST, __func__);

    *count = value->count;
    return value->list;
}
