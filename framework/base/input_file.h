/* input_file.h - files that somebody names and warren reads, without ever waiting for whoever would
 * write them: no pipe, and a terminal has nothing. These are read where they are named as a
 * descriptor that is open already: /dev/stdin, /dev/fd/63, as of a shell's <(...).
 * Thread: any.
 */
#ifndef WARREN_BASE_INPUT_FILE_H
#define WARREN_BASE_INPUT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/**
 * Open @path for reading. Never waits, nor does a read, but of a descriptor that was named. Of a
 * directory the read fails.
 *
 * @ret_why  where it fails, the reason: words that stay valid
 * @return   a descriptor, closed upon execve(2); -1
 */
int input_file_open(const char *path, const char **ret_why);

/** The same as a stream. @return NULL, with the reason, where it fails */
FILE *input_file_stream(const char *path, const char **ret_why);

/** Does @path name a descriptor of something that can be read but once? */
bool input_file_is_once(const char *path);

/** Why a file of this mode is not opened: it is a pipe, or a socket. NULL: it may be. */
const char *input_file_wrong(mode_t mode);

/* ---- private file ----
 *
 * files that hold what messages hold: made for their owner's eyes alone, where the umask would let
 * others look. A file that exists is left as it is. Thread: any.
 */

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
