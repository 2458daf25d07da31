/* loader.h - a plugin from a .so file. Thread: the main one. */
#ifndef WARREN_PLUGIN_LOADER_H
#define WARREN_PLUGIN_LOADER_H

#include "plugin/descriptor.h"

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

#endif
