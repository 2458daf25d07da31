/* file_place.h - is the file that was opened still the one at its path? Who deletes, moves or
 * replaces a file that is open gets no error, and what is written into it afterwards is lost.
 * Thread: one at a time.
 */
#ifndef WARREN_STORE_FILE_PLACE_H
#define WARREN_STORE_FILE_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

/** All zero: of no file. */
struct file_place {
    char *path; /* from the root, whatever the working directory becomes; NULL: of no file */
    dev_t device;
    ino_t inode;
};

/**
 * Take note of what is at @path and @suffix: the file that the caller has opened there just now. A
 * file that is not there is none to look for.
 *
 * @return false: no memory
 */
bool file_place_take(struct file_place *place, const char *path, const char *suffix);
void file_place_done(struct file_place *place);

/** @return NULL: it is in its place, as far as can be seen; else such as "was deleted or moved" */
const char *file_place_trouble(const struct file_place *place);

#endif
