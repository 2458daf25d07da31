/* real_name.h - the one name of a file, whatever symbolic links lead to it. What lies beside a
 * database (its log, its locks) has this name and a suffix, for all processes alike. SQLite does
 * the same. Thread: any.
 */
#ifndef WARREN_STORE_REAL_NAME_H
#define WARREN_STORE_REAL_NAME_H

#include <limits.h>
#include <stdbool.h>

/**
 * From the root, without links. A file that is not there yet has the name with which it would be
 * made, also where a link leads to it.
 *
 * @return false: it cannot be found out, see errno
 */
bool real_name(const char *path, char ret_name[PATH_MAX]);

#endif
