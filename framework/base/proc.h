/* proc.h - lines of the kernel's files about processes and threads. Source: proc(5).
 * Thread: any.
 */
#ifndef WARREN_BASE_PROC_H
#define WARREN_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>

/**
 * The first line of @path that begins with @begin, cut to fit, without its end.
 *
 * @return false: there is none, as of a process that has ended; then @line is ""
 */
bool proc_line(const char *path, const char *begin, char *line, size_t size);

#endif
