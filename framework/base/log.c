/* log.c - which lines are written; log_line.c puts them together, log_writer.c brings them out. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>

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
    log_writer_take(line->level, line->text, line->len);
}

void log_printf(enum warren_log_level level, const char *format, ...)
{
    struct log_line line;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    log_begin_format(&line, level, LOG_LINE_MAX, format, arguments);
    va_end(arguments);
    log_end(&line);
}
