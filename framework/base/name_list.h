/* name_list.h - names for one line of a log, separated by commas. What does not fit is counted.
 * Thread: one.
 */
#ifndef WARREN_BASE_NAME_LIST_H
#define WARREN_BASE_NAME_LIST_H

#include <stddef.h>

/** Bytes of the text, with the NUL: it leaves a line of the log room for the rest. */
#define NAME_LIST_SIZE 1024

/** Zeroed: empty. */
struct name_list {
    size_t count; /* of all names */
    size_t shown; /* that stand in the text */
    size_t len;
    char text[NAME_LIST_SIZE]; /* "a, b, c"; or "a, b and 7 more" */
};

/** Add a name, given as for printf(). */
void name_list_add(struct name_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
