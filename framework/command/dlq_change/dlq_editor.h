/* dlq_editor.h - let the user edit a file.
 * Thread: main, and there is no other.
 */
#ifndef WARREN_COMMAND_DLQ_EDITOR_H
#define WARREN_COMMAND_DLQ_EDITOR_H

#include <limits.h>
#include <stdbool.h>

#include <warren/status.h>

/** A file in a folder of its own, which only this user may enter. */
struct dlq_editor {
    char directory[PATH_MAX];
    char path[PATH_MAX + 128];
};

/** Make the folder, under $TMPDIR or /tmp. WARREN_OK, or WARREN_EIO with @error. */
enum warren_status dlq_editor_init(struct dlq_editor *editor, const char *file_name,
                                   struct warren_error *error);
/** Remove folder and file, unless @keep. A zeroed one is fine. */
void dlq_editor_done(struct dlq_editor *editor, bool keep);

/**
 * Run $VISUAL, else $EDITOR, else vi, with the file, and wait for its end.
 *
 * @ret_changed  whether the file is another one now
 * @return       WARREN_OK; WARREN_EIO: it cannot be run, or ended with a failure, with @error
 */
enum warren_status dlq_editor_run(const struct dlq_editor *editor, bool *ret_changed,
                                  struct warren_error *error);

#endif
