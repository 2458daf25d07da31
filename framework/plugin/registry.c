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
    struct plugin **plugins;
    size_t count;
};

struct registry *registry_new(void)
{
    return calloc(1, sizeof(struct registry));
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

static const struct warren_handler *find(const struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];
        size_t len = strlen(plugin->name);

        if (strncmp(name, plugin->name, len) != 0 || name[len] != '.')
            continue;
        for (size_t k = 0; k < plugin->handler_count; k++) {
            if (strcmp(name + len + 1, plugin->handlers[k].name) == 0)
                return &plugin->handlers[k];
        }
    }
    return NULL;
}

/* Every "PLUGIN.HANDLER" in one allocation: pointers first, then the texts. */
static const char **all_names(const struct registry *registry, size_t *ret_count)
{
    const char **names;
    char *text;
    size_t count = 0;

    for (size_t i = 0; i < registry->count; i++)
        count += registry->plugins[i]->handler_count;
    names = malloc((count + 1) * (sizeof(char *) + FULL_NAME_SIZE));
    if (!names)
        return NULL;
    text = (char *)(names + count + 1);
    count = 0;
    for (size_t i = 0; i < registry->count; i++) {
        const struct plugin *plugin = registry->plugins[i];

        for (size_t k = 0; k < plugin->handler_count; k++) {
            snprintf(text, FULL_NAME_SIZE, "%s.%s", plugin->name, plugin->handlers[k].name);
            names[count++] = text;
            text += FULL_NAME_SIZE;
        }
    }
    *ret_count = count;
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

static enum warren_status not_found(const struct registry *registry, const char *name,
                                    struct warren_error *error)
{
    char list[400];
    size_t count = 0;
    const char **names = all_names(registry, &count);
    const char *near = count ? suggest(name, names, count) : NULL;

    if (near)
        error_set(error, WARREN_ENOTFOUND, "there is no handler %s; did you mean %s?", name, near);
    else if (count == 0)
        error_set(error, WARREN_ENOTFOUND,
                  "there is no handler %s: no plugin is loaded; name one under `plugins:`", name);
    else {
        list_names(list, sizeof list, names, count);
        error_set(error, WARREN_ENOTFOUND, "there is no handler %s; there are: %s", name, list);
    }
    free(names);
    return WARREN_ENOTFOUND;
}

enum warren_status registry_find(const struct registry *registry, const char *name,
                                 const struct warren_handler **ret_handler,
                                 struct warren_error *error)
{
    *ret_handler = find(registry, name);
    return *ret_handler ? WARREN_OK : not_found(registry, name, error);
}

size_t registry_count(const struct registry *registry)
{
    return registry->count;
}

const struct plugin *registry_plugin(const struct registry *registry, size_t index)
{
    return registry->plugins[index];
}
