/* descriptor.h - read the descriptor of a plugin, whatever version of warren it was built with.
 *
 * The plugin says how large its structs are; not a byte more is read. What it does not know yet is
 * zero here. Everything that later code relies on is checked: names, duplicates, handles, tables
 * that end.
 * Thread: the main one. Elsewhere: files (loader.h), finding by name (registry.h).
 */
#ifndef WARREN_PLUGIN_DESCRIPTOR_H
#define WARREN_PLUGIN_DESCRIPTOR_H

#include <warren/middleware.h>

#include "base/siphash.h"

/** Rows of a table; a longer one has no end. */
#define PLUGIN_ROWS_MAX 256
/** Bytes of the name of a plugin, a handler or a middleware. */
#define PLUGIN_NAME_MAX 64

/** A file as it was when it was loaded. */
struct plugin_file {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t changed_ns;            /* its modification time */
    uint8_t content[SIPHASH_SIZE]; /* a hash of it */
};

/** A plugin as the host sees it. Texts are the plugin's own. */
struct plugin {
    const char *name;
    const char *version;             /* "" if it has none */
    void *user;                      /* for `open` */
    char *where;                     /* file, or "built in" */
    struct warren_handler *handlers; /* of the host's size, ended by a NULL name */
    size_t handler_count;
    struct warren_middleware *middlewares; /* the same; NULL if there are none */
    size_t middleware_count;
    struct warren_option **options; /* the tables of both, of the host's size */
    size_t option_table_count;
    void *library;           /* of dlopen(3), or NULL; */
    struct plugin_file file; /* then that */
    unsigned users;          /* plugin_free() takes the last one's away */
};

/**
 * @descriptor  what the entry function returned
 * @where       for messages; copied
 * @return      WARREN_OK; WARREN_EPLUGIN with @error: what is wrong and what to do; WARREN_ENOMEM
 */
enum warren_status plugin_new(const struct warren_plugin *descriptor, const char *where,
                              struct plugin **ret_plugin, struct warren_error *error);

/** One more user: one more plugin_free(). @return @plugin */
struct plugin *plugin_ref(struct plugin *plugin);

/**
 * The last one closes the library, if there is one: no handler of it may be open. NULL is fine.
 */
void plugin_free(struct plugin *plugin);

#endif
