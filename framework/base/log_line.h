/* log_line.h - one log line being put together, as logfmt or JSON.
 * Thread: any; a line belongs to its thread. Elsewhere: what becomes of it (log.h).
 */
#ifndef WARREN_BASE_LOG_LINE_H
#define WARREN_BASE_LOG_LINE_H

#include <stdarg.h>

#include <warren/handler.h>

/** Longer lines are cut; a value is cut first. */
#define LOG_LINE_MAX 2048

enum log_format { LOG_LOGFMT, LOG_JSON };

/** The format of all lines begun from now on. */
void log_line_format(enum log_format format);

/** One line being put together, on the caller's stack. */
struct log_line {
    enum warren_log_level level;
    uint32_t len;
    char text[LOG_LINE_MAX];
};

/** Begin with time, level and msg=@event; then add fields; then log_end() (log.h) hands it over. */
void log_begin(struct log_line *line, enum warren_log_level level, const char *event);
/** The same with a printf format, of whose text @size - 1 bytes are taken at most. */
void log_begin_format(struct log_line *line, enum warren_log_level level, size_t size,
                      const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));
/** Control bytes and quotes are escaped; @value NULL: the field is left out. */
void log_text(struct log_line *line, const char *key, const char *value);
/** The same for bytes that may hold a NUL; data NULL: the field is left out. */
void log_bytes(struct log_line *line, const char *key, struct warren_bytes value);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_bool(struct log_line *line, const char *key, bool value);
/** End the line: brace and newline. log_end() does it; for the writer's own lines. */
void log_close(struct log_line *line);

#endif
