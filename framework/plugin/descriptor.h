/* descriptor.h - read the descriptor of a plugin, whatever version of warren it was built with.
 *
 * The plugin says how large its structs are; not a byte more is read. What it does not know yet is
 * zero here. Everything that later code relies on is checked: names, duplicates, handles, tables
 * that end.
 * Thread: the main one. Elsewhere: files (loader.h), finding a handler (registry.h).
 */
#ifndef WARREN_PLUGIN_DESCRIPTOR_H
#define WARREN_PLUGIN_DESCRIPTOR_H

#include <warren/handler.h>

/** Rows of a table; a longer one has no end. */
#define PLUGIN_ROWS_MAX 256
/** Bytes of a plugin's or handler's name. */
#define PLUGIN_NAME_MAX 64

/** A plugin as the host sees it. Texts are the plugin's own. */
struct plugin {
    const char *name;
    const char *version;             /* "" if it has none */
    char *where;                     /* file, or "built in" */
    struct warren_handler *handlers; /* of the host's size, ended by a NULL name */
    size_t handler_count;
    struct warren_option **options; /* their tables, of the host's size; NULL for none */
    void *library;                  /* of dlopen(3), or NULL */
};

/**
 * @descriptor  what the entry function returned
 * @where       for messages; copied
 * @return      WARREN_OK; WARREN_EPLUGIN with @error: what is wrong and what to do; WARREN_ENOMEM
 */
enum warren_status plugin_new(const struct warren_plugin *descriptor, const char *where,
                              struct plugin **ret_plugin, struct warren_error *error);

/** Close the library, if there is one: no handler of it may be open. NULL is fine. */
void plugin_free(struct plugin *plugin);

#endif
