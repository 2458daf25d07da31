/* project.h - makes a folder with a handler project in it, from the files of template.h.
 * Thread: main, for it asks for the umask.
 */
#ifndef WARREN_COMMAND_PROJECT_PROJECT_H
#define WARREN_COMMAND_PROJECT_PROJECT_H

#include <stddef.h>

#include <warren/status.h>

/** A language that handlers are written in. */
struct project_language {
    const char *word;  /* of --lang, and the folder of its templates: "c++" */
    const char *title; /* "C++" */
    const char *cmake; /* CMake's name of it: "CXX" */
    const char *standard;
    const char *suffix; /* of its files: "cpp" */
};

/** All of them, the usual one first. */
extern const struct project_language project_languages[];
extern const size_t project_language_count;

/** What is made. */
struct project {
    const char *name; /* project_name_is_valid() */
    const char *dir;  /* the folder, which does not exist; in one that does */
    const struct project_language *language;
};

/**
 * Make the folder and its files: all of it, or nothing, also where a signal is to end the process
 * meanwhile. It is made beside @dir under another name, which begins with a point.
 *
 * @return WARREN_OK; WARREN_ECONFIG: @dir exists, or cannot be made (no such parent, no right to
 *         it, a name that is too long, or that
 *         nothing is built in); WARREN_EIO: a file cannot be written; with @error
 */
enum warren_status project_make(const struct project *project, struct warren_error *error);

/** Take away what project_make() has just made. */
void project_remove(const struct project *project);

#endif
