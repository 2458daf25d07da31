/* ending.c - see ending.h. */
#include "base/ending.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_writer.h"

#define EXIT_ENDED  1
#define LOG_STOP_MS 1000

static _Atomic(void (*)(void)) before_the_end;
static atomic_bool ending;

void ending_tell(void (*before)(void))
{
    atomic_store(&before_the_end, before);
}

void ending_now(const char *format, ...)
{
    void (*before)(void) = atomic_load(&before_the_end);
    struct log_line line;
    va_list arguments;

    while (atomic_exchange(&ending, true))
        pause(); /* another thread does it */
    if (before)
        before();
    va_start(arguments, format);
    log_begin_format(&line, WARREN_LOG_ERROR, LOG_LINE_MAX, format, arguments);
    va_end(arguments);
    log_close(&line);
    log_stop(LOG_STOP_MS);
    log_writer_last(line.level, line.text, line.len);
    _exit(EXIT_ENDED);
}
