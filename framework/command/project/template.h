/* template.h - the files of template/, as texts of this program: CMake writes the table.
 * Thread: any.
 *
 * template/all/ is for every language, the other folders for one each. NAME in a file's name, and
 * what stands between two @ in its text, is replaced: project.c says by what.
 */
#ifndef WARREN_COMMAND_TEMPLATE_H
#define WARREN_COMMAND_TEMPLATE_H

/** One file. */
struct template_file {
    const char *path; /* "c/test_NAME.c.in" */
    const char *text;
};

/** All of them; ends with a path that is NULL. */
extern const struct template_file template_files[];

#endif
