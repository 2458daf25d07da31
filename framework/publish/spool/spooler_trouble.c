/* spooler_trouble.c - what an operator is told of the spool; a disk that failed. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "publish/spool/spooler_private.h"

/* A disk that failed is tried again after this; callers try it at once. */
#define RETRY_MS 1000

void spooler_tell(struct spooler *s, bool trouble, const char *format, ...)
{
    char text[WARREN_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    s->events.tell(s->user, trouble, text);
}

void spooler_begin_trouble(struct spooler *s, const struct warren_error *error)
{
    /* A process that ends over a lost handler says so itself. */
    if (!s->trouble && error->status != WARREN_ECLOSED)
        spooler_tell(s, true, "%s", error->text);
    s->trouble = true;
    s->retry_ms = clock_now_ms(clock_monotonic()) + RETRY_MS;
}

void spooler_end_trouble(struct spooler *s)
{
    if (s->trouble)
        spooler_tell(s, false, "%s can be written again", s->options.path);
    s->trouble = false;
    s->retry_ms = 0;
}
