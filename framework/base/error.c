/* error.c - fill in a struct warren_error. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/c_locale.h"

enum warren_status(error_set)(struct warren_error *error, enum warren_status status,
                              const char *format, ...)
{
    va_list arguments;
    locale_t before;

    if (!error)
        return status;
    error->status = status;
    before = c_locale_begin();
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    c_locale_end(before);
    return status;
}
