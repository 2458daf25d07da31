/* descriptor.c - see descriptor.h. */
#include "plugin/descriptor.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The structs of version 0.1, the oldest of ABI 1: nobody may have smaller ones. */
#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define DESCRIPTOR_SIZE_MIN  END_OF(struct warren_plugin, handlers)
#define HANDLER_SIZE_MIN     END_OF(struct warren_handler, reopen)
#define OPTION_SIZE_MIN      END_OF(struct warren_option, help)
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
    if (d->abi > WARREN_PLUGIN_ABI)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: built for plugin ABI %u, this warren has %d: rebuild it with this "
                         "warren's headers, or upgrade warren",
                         where, d->abi, WARREN_PLUGIN_ABI);
    if (d->abi < WARREN_PLUGIN_ABI)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: built for plugin ABI %u, this warren has %d: rebuild it with this "
                         "warren's headers",
                         where, d->abi, WARREN_PLUGIN_ABI);
    return WARREN_OK;
}

static enum warren_status check_size(const char *what, uint32_t size, size_t min, const char *where,
                                     struct warren_error *error)
{
    if (size >= min && size <= SIZE_MAX_CREDIBLE && size % sizeof(void *) == 0)
        return WARREN_OK;
    return error_set(
        error, WARREN_EPLUGIN,
        "%s: says that its struct %s has %u bytes, but ABI %d has at least %zu: define "
        "the descriptor with WARREN_PLUGIN() and rebuild it with this warren's headers",
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

static enum warren_status check_options(const struct warren_option *options, size_t count,
                                        const char *where, const char *handler,
                                        struct warren_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct warren_option *o = &options[i];

        if (!name_is_valid(o->name))
            return error_set(error, WARREN_EPLUGIN,
                             "%s: handler %s: the option name \"%.80s\" must be 1 to %d letters, "
                             "digits, - or _",
                             where, handler, o->name, PLUGIN_NAME_MAX);
        if (o->type < WARREN_OPTION_BOOL || o->type > WARREN_OPTION_LIST)
            return error_set(error, WARREN_EPLUGIN,
                             "%s: handler %s: option %s has the type %d, which this warren does "
                             "not know",
                             where, handler, o->name, (int)o->type);
        if (o->type == WARREN_OPTION_ENUM && (!o->choices || !o->choices[0]))
            return error_set(error, WARREN_EPLUGIN,
                             "%s: handler %s: option %s is an enum without choices", where, handler,
                             o->name);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(options[k].name, o->name) == 0)
                return error_set(error, WARREN_EPLUGIN, "%s: handler %s: two options named %s",
                                 where, handler, o->name);
        }
    }
    return WARREN_OK;
}

static enum warren_status check_handler(const struct warren_handler *handlers, size_t index,
                                        const char *where, struct warren_error *error)
{
    const struct warren_handler *h = &handlers[index];

    if (!name_is_valid(h->name))
        return error_set(error, WARREN_EPLUGIN,
                         "%s: the handler name \"%.80s\" must be 1 to %d letters, digits, - or _",
                         where, h->name, PLUGIN_NAME_MAX);
    if (!h->handle)
        return error_set(error, WARREN_EPLUGIN, "%s: handler %s has no `handle` function", where,
                         h->name);
    for (size_t k = 0; k < index; k++) {
        if (strcmp(handlers[k].name, h->name) == 0)
            return error_set(error, WARREN_EPLUGIN, "%s: two handlers named %s", where, h->name);
    }
    return WARREN_OK;
}

static enum warren_status copy_options(struct plugin *plugin, size_t index, size_t option_size,
                                       struct warren_error *error)
{
    struct warren_handler *h = &plugin->handlers[index];
    struct warren_option *options;
    size_t count = 0;

    if (!h->options)
        return WARREN_OK;
    options = copy_table(h->options, option_size, sizeof *options, &count);
    if (!options)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: handler %s: its options do not end after %d rows with {0}",
                         plugin->where, h->name, PLUGIN_ROWS_MAX);
    plugin->options[index] = options;
    h->options = options;
    return check_options(options, count, plugin->where, h->name, error);
}

static enum warren_status copy_handlers(struct plugin *plugin, const struct warren_plugin *d,
                                        struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    size_t count = 0;

    if (!d->handlers || !d->handlers->name)
        return error_set(error, WARREN_EPLUGIN, "%s: plugin %s has no handlers", plugin->where,
                         d->name);
    plugin->handlers = copy_table(d->handlers, d->handler_size, sizeof plugin->handlers[0], &count);
    if (!plugin->handlers)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: the handlers of plugin %s do not end after %d rows with {0}",
                         plugin->where, d->name, PLUGIN_ROWS_MAX);
    plugin->options = calloc(count, sizeof(struct warren_option *));
    if (!plugin->options)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    plugin->handler_count = count;
    for (size_t i = 0; status == WARREN_OK && i < count; i++) {
        status = check_handler(plugin->handlers, i, plugin->where, error);
        if (status == WARREN_OK)
            status = copy_options(plugin, i, d->option_size, error);
    }
    return status;
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
    plugin->name = copy.name;
    plugin->version = copy.version;
    status = copy_handlers(plugin, &copy, error);
    if (status != WARREN_OK) {
        plugin_free(plugin);
        return status;
    }
    *ret_plugin = plugin;
    return WARREN_OK;
}

void plugin_free(struct plugin *plugin)
{
    if (!plugin)
        return;
    for (size_t i = 0; i < plugin->handler_count; i++)
        free(plugin->options[i]);
    free(plugin->options);
    free(plugin->handlers);
    if (plugin->library)
        dlclose(plugin->library);
    free(plugin->where);
    free(plugin);
}
