/* registry.c - see registry.h. */
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/name_list.h"
#include "base/suggest.h"

/* "PLUGIN.HANDLER" and the NUL. */
#define FULL_NAME_SIZE (2 * PLUGIN_NAME_MAX + 2)

/* One of these is NULL. */
struct entry {
    char name[FULL_NAME_SIZE];
    const struct warren_handler *handler;
    const struct warren_middleware *middleware;
};

struct registry {
    struct plugin **plugins;
    size_t count;
    struct entry *entries; /* warren's own middlewares, then what the plugins have */
    size_t entry_count;
};

/* Room for @more entries. @return false: no memory */
static bool reserve(struct registry *registry, size_t more)
{
    struct entry *entries = realloc(registry->entries, (registry->entry_count + more + 1) *
                                                           sizeof registry->entries[0]);

    if (entries)
        registry->entries = entries;
    return entries != NULL;
}

static void enter(struct registry *registry, const char *prefix, const char *dot, const char *name,
                  const struct warren_handler *handler, const struct warren_middleware *middleware)
{
    struct entry *entry = &registry->entries[registry->entry_count++];

    snprintf(entry->name, sizeof entry->name, "%s%s%s", prefix, dot, name);
    entry->handler = handler;
    entry->middleware = middleware;
}

struct registry *registry_new(const struct warren_middleware *const *builtin)
{
    struct registry *registry = calloc(1, sizeof *registry);
    size_t count = 0;

    while (builtin && builtin[count])
        count++;
    if (!registry || !reserve(registry, count)) {
        free(registry);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        enter(registry, "", "", builtin[i]->name, NULL, builtin[i]);
    return registry;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++)
        plugin_free(registry->plugins[i]);
    free(registry->plugins);
    free(registry->entries);
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
    if (plugins)
        registry->plugins = plugins;
    if (!plugins || !reserve(registry, plugin->handler_count + plugin->middleware_count)) {
        plugin_free(plugin);
        return error_set(error, WARREN_ENOMEM, "out of memory");
    }
    plugins[registry->count++] = plugin;
    for (size_t i = 0; i < plugin->handler_count; i++)
        enter(registry, plugin->name, ".", plugin->handlers[i].name, &plugin->handlers[i], NULL);
    for (size_t i = 0; i < plugin->middleware_count; i++)
        enter(registry, plugin->name, ".", plugin->middlewares[i].name, NULL,
              &plugin->middlewares[i]);
    return WARREN_OK;
}

/* There are always middlewares, warren's own; handlers only in plugins. */
static void not_found(const char *kind, const char *name, const char *const *names, size_t count,
                      struct warren_error *error)
{
    struct name_list list = {0};
    const char *near = count > 0 ? suggest(name, names, count) : NULL;

    if (near) {
        error_set(error, WARREN_ENOTFOUND, "there is no %s %s; did you mean %s?", kind, name, near);
    } else if (count == 0) {
        error_set(error, WARREN_ENOTFOUND,
                  "there is no %s %s: no plugin is loaded; name one under `plugins:`", kind, name);
    } else {
        for (size_t i = 0; i < count; i++)
            name_list_add(&list, "%s", names[i]);
        error_set(error, WARREN_ENOTFOUND, "there is no %s %s; there are: %s", kind, name,
                  list.text);
    }
}

/* A handler, or else a middleware. NULL, with @error: there is none of that name */
static const struct entry *find(const struct registry *registry, bool handler, const char *name,
                                struct warren_error *error)
{
    const char **names = malloc((registry->entry_count + 1) * sizeof names[0]);
    const struct entry *found = NULL;
    size_t count = 0;

    for (size_t i = 0; !found && i < registry->entry_count; i++) {
        const struct entry *entry = &registry->entries[i];

        if ((entry->handler != NULL) != handler)
            continue;
        if (strcmp(entry->name, name) == 0)
            found = entry;
        else if (names)
            names[count++] = entry->name;
    }
    if (!found)
        not_found(handler ? "handler" : "middleware", name, names, count, error);
    free(names);
    return found;
}

enum warren_status registry_find(const struct registry *registry, const char *name,
                                 const struct warren_handler **ret_handler,
                                 struct warren_error *error)
{
    const struct entry *entry = find(registry, true, name, error);

    *ret_handler = entry ? entry->handler : NULL;
    return entry ? WARREN_OK : WARREN_ENOTFOUND;
}

enum warren_status registry_find_middleware(const struct registry *registry, const char *name,
                                            const struct warren_middleware **ret_middleware,
                                            struct warren_error *error)
{
    const struct entry *entry = find(registry, false, name, error);

    *ret_middleware = entry ? entry->middleware : NULL;
    return entry ? WARREN_OK : WARREN_ENOTFOUND;
}

void *registry_user(const struct registry *registry, const char *name)
{
    size_t len = strcspn(name, ".");

    for (size_t i = 0; name[len] && i < registry->count; i++)
        if (strlen(registry->plugins[i]->name) == len &&
            memcmp(registry->plugins[i]->name, name, len) == 0)
            return registry->plugins[i]->user;
    return NULL;
}

size_t registry_count(const struct registry *registry)
{
    return registry->count;
}

struct plugin *registry_plugin(const struct registry *registry, size_t index)
{
    return registry->plugins[index];
}
