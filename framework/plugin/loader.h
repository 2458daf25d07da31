/* loader.h - a plugin from a .so file. Thread: the main one. */
#ifndef WARREN_PLUGIN_LOADER_H
#define WARREN_PLUGIN_LOADER_H

#include "plugin/descriptor.h"

enum plugin_file_state {
    PLUGIN_FILE_SAME,       /* or one of the same content in its place */
    PLUGIN_FILE_OTHER,      /* another file is at its path */
    PLUGIN_FILE_OVERWRITTEN /* the very file has another content: what is mapped of it has so, too,
                               and may crash at any time */
};

/**
 * What has become of the file of @plugin, which was loaded from one.
 *
 * @return WARREN_OK; WARREN_EPLUGIN with @error: it cannot be opened or read
 */
enum warren_status plugin_file_look(const struct plugin *plugin, enum plugin_file_state *ret_state,
                                    struct warren_error *error);

/**
 * Load the shared object @path (never searched for in library folders), all symbols bound now,
 * none of its own visible to others.
 *
 * @return WARREN_OK; WARREN_EPLUGIN with @error: no such file, no shared object, one that was
 *         not copied completely, an undefined symbol, no entry function, or what plugin_new()
 * found; WARREN_ENOMEM
 */
enum warren_status plugin_load(const char *path, struct plugin **ret_plugin,
                               struct warren_error *error);
/**
 * The same of another file at a path that was loaded before.
 *
 * @number   that no other has, and not 0: the dynamic linker takes what has the same name for the
 *           same library
 * @content  a hash of what the file must have in it, or it is not loaded: WARREN_EPLUGIN; NULL: any
 */
enum warren_status plugin_load_anew(const char *path, unsigned number, const uint8_t *content,
                                    struct plugin **ret_plugin, struct warren_error *error);

#endif
