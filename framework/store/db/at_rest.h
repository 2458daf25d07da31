/* at_rest.h - files that nobody can be writing: on a medium or in a folder where SQLite cannot make
 * what it needs beside a file, even to read it.
 * Elsewhere: opening (database.h).
 */
#ifndef WARREN_STORE_AT_REST_H
#define WARREN_STORE_AT_REST_H

#include <stdbool.h>
#include <stddef.h>

/** May files be made in the folder of @path? @return 0; else why not, an errno */
int at_rest_folder_error(const char *path);

/**
 * Where no file may be made beside @path, and no -wal file is: then it is complete, and nobody is
 * at it. Whoever may write there is not to begin while it is open.
 *
 * @ret_uri  of SQLite's, to open it by as one that never changes
 * @return   false: it is to be opened as any other
 */
bool at_rest_uri(const char *path, char *ret_uri, size_t size);

#endif
