#include "config/handler_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/mapping.h"
#include "config/options.h"

/* A mistake of the plugin's author, found before it can crash the parser. */
static enum warren_status check_table(struct config_scope *scope, const struct config_owner *owner,
                                      const struct warren_option *table)
{
    for (; table && table->name; table++) {
        if (table->type < WARREN_OPTION_BOOL || table->type > WARREN_OPTION_LIST)
            return error_set(scope->error, WARREN_ECONFIG,
                             "%s %s: its option '%s' has the unknown type %d", owner->kind,
                             owner->name, table->name, (int)table->type);
        if (table->type == WARREN_OPTION_ENUM && !table->choices)
            return error_set(scope->error, WARREN_ECONFIG,
                             "%s %s: its option '%s' names no choices", owner->kind, owner->name,
                             table->name);
    }
    return WARREN_OK;
}

enum warren_status config_owner_options(struct config_scope *scope,
                                        const struct config_owner *owner,
                                        const struct config_node *node,
                                        const struct warren_option *table,
                                        const struct warren_options **ret_options)
{
    struct warren_options *options = arena_alloc(scope->arena, sizeof *options);
    char what[WARREN_ERROR_TEXT_MAX / 2];
    enum warren_status status = check_table(scope, owner, table);

    if (status != WARREN_OK)
        return status;
    if (!options)
        return config_nomem(scope);
    *options = (struct warren_options){.table = table,
                                       .count = config_table_count(table),
                                       .owner = *owner,
                                       .values = config_values_new(scope, table)};
    if (!options->values)
        return config_nomem(scope);
    snprintf(what, sizeof what, "the options of %s", owner->name);
    status = config_mapping_read(scope, node, what, table, options->values);
    if (status == WARREN_OK)
        *ret_options = options;
    return status;
}

enum warren_status config_handler_options(struct config *config,
                                          const struct config_subscription *subscription,
                                          const struct warren_option *table,
                                          const struct warren_options **ret_options,
                                          struct warren_error *error)
{
    struct config_private *private = config->private;
    struct config_scope scope = {&private->arena, error};
    const struct config_owner owner = {"handler", subscription->handler};
    const struct config_node *node = subscription->options;

    if (!node) /* errors point to the subscription */
        node = config_node_text(
            &scope,
            config_source_new(&scope,
                              subscription->where ? subscription->where : subscription->handler,
                              private->file.folder),
            "");
    return node ? config_owner_options(&scope, &owner, node, table, ret_options)
                : config_nomem(&scope);
}

const char *config_options_differ(const struct warren_options *a, const struct warren_options *b,
                                  size_t *at)
{
    while (a->table == b->table && *at < a->count) {
        size_t i = (*at)++;

        if (!config_value_equal(a->table[i].type, &a->values[i], &b->values[i]))
            return a->table[i].name;
    }
    return NULL;
}

void config_options_show(const struct warren_options *options, const char *name, int64_t value)
{
    for (size_t i = 0; i < options->count; i++)
        if (strcmp(options->table[i].name, name) == 0)
            options->values[i].integer = value;
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
        fprintf(stderr, "warren: %s %s: %s(\"%s\"): its table declares it as %s\n",
                options->owner.kind, options->owner.name, function, name,
                config_type_name(options->table[i].type));
        abort();
    }
    fprintf(stderr, "warren: %s %s: %s(\"%s\"): its table declares no such option\n",
            options->owner.kind, options->owner.name, function, name);
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
