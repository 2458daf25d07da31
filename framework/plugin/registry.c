/* registry.c - see registry.h. */
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"

/* "PLUGIN.HANDLER" and the NUL. */
#define FULL_NAME_SIZE (2 * PLUGIN_NAME_MAX + 2)

struct registry {
    const struct warren_middleware *const *builtin; /* ended by NULL */
    struct plugin **plugins;
    size_t count;
};

struct registry *registry_new(const struct warren_middleware *const *builtin)
{
    static const struct warren_middleware *const none[] = {NULL};
    struct registry *registry = calloc(1, sizeof *registry);

    if (registry)
        registry->builtin = builtin ? builtin : none;
    return registry;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++)
        plugin_free(registry->plugins[i]);
    free(registry->plugins);
    free(registry);
}

enum warren_status registry_add(struct registry *registry, struct plugin *plugin,
                                struct warren_error *error)
{
    enum warren_status status;
    struct plugin **plugins;

    for (size_t i = 0; i < registry->count; i++) {
        if (strcmp(registry->plugins[i]->name, plugin->name) == 0) {
            status =
                error_set(error, WARREN_EPLUGIN, "%s: a plugin named %s is already loaded from %s",
                          plugin->where, plugin->name, registry->plugins[i]->where);
            plugin_free(plugin);
            return status;
        }
    }
    plugins = realloc(registry->plugins, (registry->count + 1) * sizeof(struct plugin *));
    if (!plugins) {
        plugin_free(plugin);
        return error_set(error, WARREN_ENOMEM, "out of memory");
    }
    registry->plugins = plugins;
    registry->plugins[registry->count++] = plugin;
    return WARREN_OK;
}

/* What @name is without "PLUGIN.", if it begins so; otherwise NULL. */
static const char *inside(const struct plugin *plugin, const char *name)
{
    size_t len = strlen(plugin->name);

    return strncmp(name, plugin->name, len) == 0 && name[len] == '.' ? name + len + 1 : NULL;
}

static const struct warren_handler *find(const struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];
        const char *rest = inside(plugin, name);

        for (size_t k = 0; rest && k < plugin->handler_count; k++) {
            if (strcmp(rest, plugin->handlers[k].name) == 0)
                return &plugin->handlers[k];
        }
    }
    return NULL;
}

static const struct warren_middleware *find_middleware(const struct registry *registry,
                                                       const char *name)
{
    for (size_t i = 0; registry->builtin[i]; i++) {
        if (strcmp(name, registry->builtin[i]->name) == 0)
            return registry->builtin[i];
    }
    for (size_t i = 0; i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];
        const char *rest = inside(plugin, name);

        for (size_t k = 0; rest && k < plugin->middleware_count; k++) {
            if (strcmp(rest, plugin->middlewares[k].name) == 0)
                return &plugin->middlewares[k];
        }
    }
    return NULL;
}

/* Names in one allocation: pointers first, then the texts. */
struct names {
    const char **items; /* NULL: no memory */
    size_t count;
    size_t max;
};

static struct names names_new(size_t max)
{
    struct names names = {malloc((max + 1) * (sizeof(char *) + FULL_NAME_SIZE)), 0, max};

    return names;
}

static void names_add(struct names *names, const char *plugin, const char *name)
{
    char *text = (char *)(names->items + names->max + 1) + names->count * FULL_NAME_SIZE;

    snprintf(text, FULL_NAME_SIZE, "%s%s%s", plugin, *plugin ? "." : "", name);
    names->items[names->count++] = text;
}

static struct names handler_names(const struct registry *registry)
{
    struct names names;
    size_t max = 0;

    for (size_t i = 0; i < registry->count; i++)
        max += registry->plugins[i]->handler_count;
    names = names_new(max);
    for (size_t i = 0; names.items && i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];

        for (size_t k = 0; k < plugin->handler_count; k++)
            names_add(&names, plugin->name, plugin->handlers[k].name);
    }
    return names;
}

static struct names middleware_names(const struct registry *registry)
{
    struct names names;
    size_t max = 0;

    while (registry->builtin[max])
        max++;
    for (size_t i = 0; i < registry->count; i++)
        max += registry->plugins[i]->middleware_count;
    names = names_new(max);
    for (size_t i = 0; names.items && registry->builtin[i]; i++)
        names_add(&names, "", registry->builtin[i]->name);
    for (size_t i = 0; names.items && i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];

        for (size_t k = 0; k < plugin->middleware_count; k++)
            names_add(&names, plugin->name, plugin->middlewares[k].name);
    }
    return names;
}

static void list_names(char *text, size_t size, const char *const *names, size_t count)
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count && len < size; i++) {
        int more = snprintf(text + len, size - len, "%s%s", i ? ", " : "", names[i]);

        if (more < 0)
            return;
        len += (size_t)more;
    }
}

/* Frees @names. There are always middlewares, warren's own; handlers only in plugins. */
static enum warren_status not_found(const char *kind, const char *name, struct names names,
                                    struct warren_error *error)
{
    char list[400];
    const char *near = names.count ? suggest(name, names.items, names.count) : NULL;

    if (near)
        error_set(error, WARREN_ENOTFOUND, "there is no %s %s; did you mean %s?", kind, name, near);
    else if (names.count == 0)
        error_set(error, WARREN_ENOTFOUND,
                  "there is no %s %s: no plugin is loaded; name one under `plugins:`", kind, name);
    else {
        list_names(list, sizeof list, names.items, names.count);
        error_set(error, WARREN_ENOTFOUND, "there is no %s %s; there are: %s", kind, name, list);
    }
    free(names.items);
    return WARREN_ENOTFOUND;
}

enum warren_status registry_find(const struct registry *registry, const char *name,
                                 const struct warren_handler **ret_handler,
                                 struct warren_error *error)
{
    *ret_handler = find(registry, name);
    return *ret_handler ? WARREN_OK : not_found("handler", name, handler_names(registry), error);
}

enum warren_status registry_find_middleware(const struct registry *registry, const char *name,
                                            const struct warren_middleware **ret_middleware,
                                            struct warren_error *error)
{
    *ret_middleware = find_middleware(registry, name);
    return *ret_middleware ? WARREN_OK
                           : not_found("middleware", name, middleware_names(registry), error);
}

size_t registry_count(const struct registry *registry)
{
    return registry->count;
}

struct plugin *registry_plugin(const struct registry *registry, size_t index)
{
    return registry->plugins[index];
}
