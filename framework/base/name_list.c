/* name_list.c - see name_list.h. */
#include "base/name_list.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* For " and 4294967295 more". */
#define TAIL_SIZE 32

/* @return false: it does not fit */
static bool append(struct name_list *list, const char *format, va_list arguments)
{
    const size_t end = sizeof list->text - TAIL_SIZE;
    size_t len = list->len;
    int more;

    if (list->shown < list->count) /* those after one that was left out are so, too */
        return false;
    if (list->count > 0)
        len += (size_t)snprintf(list->text + len, sizeof list->text - len, ", ");
    more = vsnprintf(list->text + len, sizeof list->text - len, format, arguments);
    if (more < 0 || len + (size_t)more >= end)
        return false;
    list->len = len + (size_t)more;
    return true;
}

void name_list_add(struct name_list *list, const char *format, ...)
{
    va_list arguments;
    bool fits;

    va_start(arguments, format);
    fits = append(list, format, arguments);
    va_end(arguments);
    list->count++;
    if (fits)
        list->shown++;
    else
        snprintf(list->text + list->len, TAIL_SIZE, " and %zu more", list->count - list->shown);
}
