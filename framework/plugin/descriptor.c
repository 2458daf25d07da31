/* descriptor.c - see descriptor.h. */
#include "plugin/descriptor.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The structs as they were when ABI 2 began: nobody may have smaller ones. */
#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define DESCRIPTOR_SIZE_MIN  END_OF(struct warren_plugin, middleware_size)
#define HANDLER_SIZE_MIN     END_OF(struct warren_handler, transactional)
#define OPTION_SIZE_MIN      END_OF(struct warren_option, help)
#define MIDDLEWARE_SIZE_MIN  END_OF(struct warren_middleware, fixed)
/* No version will have larger ones: this is no descriptor. */
#define SIZE_MAX_CREDIBLE 4096

static bool name_is_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strspn(name, allowed);

    return len > 0 && len <= PLUGIN_NAME_MAX && name[len] == '\0';
}

static enum warren_status check_abi(const struct warren_plugin *d, const char *where,
                                    struct warren_error *error)
{
    if (d->abi == WARREN_PLUGIN_ABI)
        return WARREN_OK;
    return error_set(
        error, WARREN_EPLUGIN,
        "%s: was compiled for ABI %u, this warren has ABI %d: compile it anew with the "
        "headers of this version%s",
        where, d->abi, WARREN_PLUGIN_ABI, d->abi > WARREN_PLUGIN_ABI ? ", or upgrade warren" : "");
}

static enum warren_status check_size(const char *what, uint32_t size, size_t min, const char *where,
                                     struct warren_error *error)
{
    if (size >= min && size <= SIZE_MAX_CREDIBLE && size % sizeof(void *) == 0)
        return WARREN_OK;
    return error_set(
        error, WARREN_EPLUGIN,
        "%s: says that its struct %s has %u bytes, but ABI %d has at least %zu: define "
        "the descriptor with WARREN_PLUGIN() and compile it anew with the headers of this version",
        where, what, size, WARREN_PLUGIN_ABI, min);
}

/* The ABI number and the sizes stand first and never move. */
static enum warren_status read_descriptor(const struct warren_plugin *d, const char *where,
                                          struct warren_plugin *copy, struct warren_error *error)
{
    enum warren_status status = check_abi(d, where, error);

    if (status == WARREN_OK)
        status = check_size("warren_plugin", d->size, DESCRIPTOR_SIZE_MIN, where, error);
    if (status == WARREN_OK)
        status = check_size("warren_handler", d->handler_size, HANDLER_SIZE_MIN, where, error);
    if (status == WARREN_OK)
        status = check_size("warren_option", d->option_size, OPTION_SIZE_MIN, where, error);
    if (status != WARREN_OK)
        return status;
    memset(copy, 0, sizeof *copy);
    memcpy(copy, d, d->size < sizeof *copy ? d->size : sizeof *copy);
    /* Also where the plugin knows of none: then both are zero. */
    if (copy->middlewares)
        status = check_size("warren_middleware", copy->middleware_size, MIDDLEWARE_SIZE_MIN, where,
                            error);
    if (status != WARREN_OK)
        return status;
    if (!copy->name || !name_is_valid(copy->name))
        return error_set(error, WARREN_EPLUGIN,
                         "%s: the plugin's name \"%.80s\" must be 1 to %d letters, digits, - or _",
                         where, copy->name ? copy->name : "", PLUGIN_NAME_MAX);
    if (!copy->version)
        copy->version = "";
    return WARREN_OK;
}

/*
 * Copy a table whose rows have @row_size bytes and end with one whose first member, a name, is
 * NULL, into rows of @host_size. NULL if there is no end, or no memory.
 */
static void *copy_table(const void *table, size_t row_size, size_t host_size, size_t *count)
{
    const char *row = table;
    size_t rows = 0;
    char *copy;

    while (*(const char *const *)(const void *)(row + rows * row_size)) {
        if (++rows > PLUGIN_ROWS_MAX)
            return NULL;
    }
    copy = calloc(rows + 1, host_size);
    for (size_t i = 0; copy && i < rows; i++)
        memcpy(copy + i * host_size, row + i * row_size,
               row_size < host_size ? row_size : host_size);
    *count = rows;
    return copy;
}

/* What a table of options belongs to, for messages. */
struct owner {
    const char *kind; /* "handler" or "middleware" */
    const char *name;
};

static enum warren_status check_options(const struct warren_option *options, size_t count,
                                        const char *where, const struct owner *owner,
                                        struct warren_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct warren_option *o = &options[i];

        if (!name_is_valid(o->name))
            return error_set(error, WARREN_EPLUGIN,
                             "%s: %s %s: the option name \"%.80s\" must be 1 to %d letters, "
                             "digits, - or _",
                             where, owner->kind, owner->name, o->name, PLUGIN_NAME_MAX);
        if (o->type < WARREN_OPTION_BOOL || o->type > WARREN_OPTION_LIST)
            return error_set(error, WARREN_EPLUGIN,
                             "%s: %s %s: option %s has the type %d, which this warren does "
                             "not know",
                             where, owner->kind, owner->name, o->name, (int)o->type);
        if (o->type == WARREN_OPTION_ENUM && (!o->choices || !o->choices[0]))
            return error_set(error, WARREN_EPLUGIN,
                             "%s: %s %s: option %s is an enum without choices", where, owner->kind,
                             owner->name, o->name);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(options[k].name, o->name) == 0)
                return error_set(error, WARREN_EPLUGIN, "%s: %s %s: two options named %s", where,
                                 owner->kind, owner->name, o->name);
        }
    }
    return WARREN_OK;
}

/* Replace @options by a copy of the host's size, which the plugin owns. */
static enum warren_status copy_options(struct plugin *plugin, const struct owner *owner,
                                       size_t option_size, const struct warren_option **options,
                                       struct warren_error *error)
{
    struct warren_option *copy;
    size_t count = 0;

    if (!*options)
        return WARREN_OK;
    copy = copy_table(*options, option_size, sizeof *copy, &count);
    if (!copy)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: %s %s: its options do not end after %d rows with {0}", plugin->where,
                         owner->kind, owner->name, PLUGIN_ROWS_MAX);
    plugin->options[plugin->option_table_count++] = copy;
    *options = copy;
    return check_options(copy, count, plugin->where, owner, error);
}

/* Handlers or middlewares, which begin with a name. */
struct rows {
    const char *kind;
    const void *first;
    size_t size;
    size_t count;
};

static const char *row_name(const struct rows *rows, size_t index)
{
    return *(const char *const *)(const void *)((const char *)rows->first + index * rows->size);
}

static enum warren_status check_names(const struct plugin *plugin, const struct rows *rows,
                                      struct warren_error *error)
{
    for (size_t i = 0; i < rows->count; i++) {
        const char *name = row_name(rows, i);

        if (!name_is_valid(name))
            return error_set(error, WARREN_EPLUGIN,
                             "%s: the %s name \"%.80s\" must be 1 to %d letters, digits, - or _",
                             plugin->where, rows->kind, name, PLUGIN_NAME_MAX);
        for (size_t k = 0; k < i; k++)
            if (strcmp(row_name(rows, k), name) == 0)
                return error_set(error, WARREN_EPLUGIN, "%s: two %ss named %s", plugin->where,
                                 rows->kind, name);
    }
    return WARREN_OK;
}

static enum warren_status check_handlers(struct plugin *plugin, size_t option_size,
                                         struct warren_error *error)
{
    const struct rows rows = {"handler", plugin->handlers, sizeof plugin->handlers[0],
                              plugin->handler_count};
    enum warren_status status = check_names(plugin, &rows, error);

    for (size_t i = 0; status == WARREN_OK && i < plugin->handler_count; i++) {
        struct warren_handler *h = &plugin->handlers[i];

        status = h->handle || h->handle_batch
                     ? copy_options(plugin, &(struct owner){rows.kind, h->name}, option_size,
                                    &h->options, error)
                     : error_set(error, WARREN_EPLUGIN,
                                 "%s: handler %s has neither `handle` nor `handle_batch`",
                                 plugin->where, h->name);
    }
    return status;
}

static enum warren_status check_middlewares(struct plugin *plugin, size_t option_size,
                                            struct warren_error *error)
{
    const struct rows rows = {"middleware", plugin->middlewares, sizeof plugin->middlewares[0],
                              plugin->middleware_count};
    enum warren_status status = check_names(plugin, &rows, error);

    for (size_t i = 0; status == WARREN_OK && i < plugin->middleware_count; i++) {
        struct warren_middleware *m = &plugin->middlewares[i];

        if (!m->before != !m->after)
            return error_set(error, WARREN_EPLUGIN,
                             "%s: middleware %s has `%s` without `%s`: define both or neither",
                             plugin->where, m->name, m->before ? "before" : "after",
                             m->before ? "after" : "before");
        status = copy_options(plugin, &(struct owner){rows.kind, m->name}, option_size, &m->options,
                              error);
    }
    return status;
}

static enum warren_status no_end(const struct plugin *plugin, const char *what,
                                 struct warren_error *error)
{
    return error_set(error, WARREN_EPLUGIN,
                     "%s: the %s of plugin %s do not end after %d rows with {0}", plugin->where,
                     what, plugin->name, PLUGIN_ROWS_MAX);
}

static enum warren_status copy_tables(struct plugin *plugin, const struct warren_plugin *d,
                                      struct warren_error *error)
{
    static const struct warren_handler no_handlers[] = {{0}};
    enum warren_status status;

    plugin->handlers =
        copy_table(d->handlers ? d->handlers : no_handlers, d->handlers ? d->handler_size : 0,
                   sizeof plugin->handlers[0], &plugin->handler_count);
    if (!plugin->handlers)
        return no_end(plugin, "handlers", error);
    if (d->middlewares) {
        plugin->middlewares = copy_table(d->middlewares, d->middleware_size,
                                         sizeof plugin->middlewares[0], &plugin->middleware_count);
        if (!plugin->middlewares)
            return no_end(plugin, "middlewares", error);
    }
    if (plugin->handler_count + plugin->middleware_count == 0)
        return error_set(error, WARREN_EPLUGIN, "%s: plugin %s has no handlers and no middlewares",
                         plugin->where, plugin->name);
    plugin->options =
        calloc(plugin->handler_count + plugin->middleware_count, sizeof(struct warren_option *));
    if (!plugin->options)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    status = check_handlers(plugin, d->option_size, error);
    return status == WARREN_OK ? check_middlewares(plugin, d->option_size, error) : status;
}

enum warren_status plugin_new(const struct warren_plugin *descriptor, const char *where,
                              struct plugin **ret_plugin, struct warren_error *error)
{
    struct warren_plugin copy;
    enum warren_status status = read_descriptor(descriptor, where, &copy, error);
    struct plugin *plugin;

    if (status != WARREN_OK)
        return status;
    plugin = calloc(1, sizeof *plugin);
    if (!plugin || !(plugin->where = strdup(where))) {
        free(plugin);
        return error_set(error, WARREN_ENOMEM, "out of memory");
    }
    plugin->users = 1;
    plugin->name = copy.name;
    plugin->version = copy.version;
    plugin->user = copy.user;
    status = copy_tables(plugin, &copy, error);
    if (status != WARREN_OK) {
        plugin_free(plugin);
        return status;
    }
    *ret_plugin = plugin;
    return WARREN_OK;
}

struct plugin *plugin_ref(struct plugin *plugin)
{
    plugin->users++;
    return plugin;
}

void plugin_free(struct plugin *plugin)
{
    if (!plugin || --plugin->users > 0)
        return;
    for (size_t i = 0; i < plugin->option_table_count; i++)
        free(plugin->options[i]);
    free(plugin->options);
    free(plugin->middlewares);
    free(plugin->handlers);
    if (plugin->library)
        dlclose(plugin->library);
    free(plugin->where);
    free(plugin);
}
