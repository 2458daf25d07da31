#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "config/document.h"
#include "config/options.h"

/* The folder of @file with its slash, "" if it has none. */
static enum warren_status set_file(struct config_scope *scope, struct config_private *private,
                                   const char *file)
{
    const char *slash;

    private->file.folder = "";
    if (!file)
        return WARREN_OK;
    slash = strrchr(file, '/');
    private->file.name = config_copy(scope, file);
    private->file.folder = slash ? arena_text(scope->arena, file, (size_t)(slash - file) + 1) : "";
    private->config.file = private->file.name;
    return private->file.name && private->file.folder ? WARREN_OK : config_nomem(scope);
}

/* @text NULL: the file's. */
static enum warren_status load(struct config_scope *scope, struct config_private *private,
                               const char *text, char *const *env, const char *const *sets,
                               size_t set_count)
{
    enum warren_status status = WARREN_OK;
    const struct config_node *root = NULL;

    if (private->file.name) {
        status = text ? config_document_parse(scope, &private->file, text, &root)
                      : config_document_read(scope, &private->file, &root);
        if (status == WARREN_OK)
            status = config_read_document(scope, private, root);
    }
    if (status == WARREN_OK)
        status = config_read_environment(scope, private, env);
    for (size_t i = 0; i < set_count && status == WARREN_OK; i++)
        status = config_read_set(scope, private, NULL, sets[i]);
    if (status == WARREN_OK)
        status = config_options_finish(scope, private);
    if (status != WARREN_OK)
        return status;
    status = config_subscriptions_read(scope, private, private->config.subscriptions_node);
    if (status == WARREN_OK)
        status = config_semaphores_read(scope, private, private->config.semaphores_node);
    if (status == WARREN_OK)
        status = config_uses_read(scope, private);
    if (status == WARREN_OK)
        status = config_executors_read(scope, private, private->config.executors_node);
    if (status == WARREN_OK)
        status = config_shares_read(scope, private);
    if (status == WARREN_OK)
        status = config_topology_read(scope, private, private->config.topology_node);
    if (status == WARREN_OK)
        status = config_middlewares_read(scope, private->config.middleware_node,
                                         &private->config.middlewares,
                                         &private->config.middleware_count);
    return status == WARREN_OK ? config_declared(scope, private) : status;
}

static struct config_private *new_private(struct config_scope *scope)
{
    struct config_private *private = calloc(1, sizeof *private);

    if (!private)
        return NULL;
    private->config.private = private;
    arena_init(&private->arena);
    scope->arena = &private->arena;
    return private;
}

enum warren_status config_load_text(const char *text, const char *name, char *const *env,
                                    const char *const *sets, size_t set_count,
                                    struct config **ret_config, struct warren_error *error)
{
    struct config_scope scope = {.error = error};
    struct config_private *private = new_private(&scope);
    enum warren_status status;

    if (!private)
        return config_nomem(&scope);
    status = set_file(&scope, private, name);
    if (status == WARREN_OK)
        status = load(&scope, private, text, env, sets, set_count);
    if (status != WARREN_OK) {
        config_free(&private->config);
        return status;
    }
    *ret_config = &private->config;
    return WARREN_OK;
}

enum warren_status config_load(const char *file, char *const *env, const char *const *sets,
                               size_t set_count, struct config **ret_config,
                               struct warren_error *error)
{
    return config_load_text(NULL, file, env, sets, set_count, ret_config, error);
}

enum warren_status config_check_set(const char *source, const char *set, struct warren_error *error)
{
    struct config_scope scope = {.error = error};
    struct config_private *private = new_private(&scope);
    enum warren_status status;

    if (!private)
        return config_nomem(&scope);
    status = config_read_set(&scope, private, source, set);
    config_free(&private->config);
    return status;
}

void config_where(const struct config *config, const char *name, size_t item, char *text,
                  size_t size)
{
    const struct warren_option *option = config_option_find(name);
    const struct config_node *node = config->private->values[option - config_options].node;

    if (node->kind == CONFIG_SEQUENCE && item < node->count)
        node = node->items[item];
    config_node_where(node, text, size);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_done(&config->private->arena);
    free(config->private);
}
