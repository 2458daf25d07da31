/* project_name.h - what the name of a project may be.
 * It becomes the name of a plugin, a queue, files, a CMake project and a container, so it has what
 * all of them allow. Thread: any.
 */
#ifndef WARREN_COMMAND_PROJECT_NAME_H
#define WARREN_COMMAND_PROJECT_NAME_H

#include <stdbool.h>

/** Bytes of the longest name. */
#define PROJECT_NAME_MAX 40

/** a-z, 0-9 and _, a letter first, at most PROJECT_NAME_MAX. */
bool project_name_is_valid(const char *name);

/**
 * A valid name that is as near to @text as can be: of its last folder, in small letters.
 *
 * @return false: @text has nothing that could be kept
 */
bool project_name_suggest(const char *text, char name[PROJECT_NAME_MAX + 1]);

#endif
