/* log.c - which lines are written; log_line.c puts them together, log_writer.c brings them out. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log_writer.h"

static _Atomic int log_level = WARREN_LOG_INFO;

void log_set(enum warren_log_level level, enum log_format format)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
    log_line_format(format);
}

bool log_enabled(enum warren_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_end(struct log_line *line)
{
    if (!log_enabled(line->level))
        return;
    log_close(line);
    log_writer_take(line->text, line->len);
}

void log_printf(enum warren_log_level level, const char *format, ...)
{
    char event[LOG_LINE_MAX];
    struct log_line line;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    vsnprintf(event, sizeof event, format, arguments);
    va_end(arguments);
    log_begin(&line, level, event);
    log_end(&line);
}
