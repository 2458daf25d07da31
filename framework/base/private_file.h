/* private_file.h - files that hold what messages hold: made for their owner's eyes alone, where the
 * umask would let others look. A file that exists is left as it is.
 * Thread: any.
 */
#ifndef WARREN_BASE_PRIVATE_FILE_H
#define WARREN_BASE_PRIVATE_FILE_H

#include <limits.h>
#include <stdbool.h>

/** Modes of what is new. The umask may take more away. */
#define PRIVATE_FILE_MODE      0600
#define PRIVATE_DIRECTORY_MODE 0700

/**
 * Make an empty file, without opening it: to close it again would end the locks (fcntl(2)) that
 * another thread may have on it by then.
 *
 * @return false: see errno; EEXIST if there is something already
 */
bool private_file_make(const char *path);

/**
 * Open the file whose name is @path and @suffix for reading and writing. If it is new, it is for
 * whom @path is for, or for the owner alone where @path does not exist.
 *
 * @ret_name  its name, for what is said of it; cut if it is too long
 * @return    a descriptor; -1: see errno
 */
int private_file_beside(const char *path, const char *suffix, char ret_name[PATH_MAX]);

#endif
