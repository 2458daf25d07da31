/* log_event.h - a line of the log in one statement:
 *
 *   log_event(WARREN_LOG_WARN, "consuming interrupted", LOG_TEXT("queue", queue),
 *             LOG_INT("retry_ms", retry_ms));
 *
 * Nothing is put together if the level is not enabled; but the fields are evaluated. Where that
 * costs something, ask log_enabled() first.
 * Thread: any. Elsewhere: lines that are put together bit by bit (log_line.h).
 */
#ifndef WARREN_BASE_LOG_EVENT_H
#define WARREN_BASE_LOG_EVENT_H

#include "base/log.h"

struct log_field {
    const char *key; /* NULL: the end */
    enum { LOG_FIELD_NONE, LOG_FIELD_TEXT, LOG_FIELD_BYTES, LOG_FIELD_INT } type;
    union {
        const char *text; /* NULL: the field is left out */
        struct warren_bytes bytes;
        int64_t number;
    };
};

#define LOG_TEXT(name, value)                                                                      \
    {                                                                                              \
        .key = (name), .type = LOG_FIELD_TEXT, .text = (value)                                     \
    }
#define LOG_BYTES(name, value)                                                                     \
    {                                                                                              \
        .key = (name), .type = LOG_FIELD_BYTES, .bytes = (value)                                   \
    }
#define LOG_INT(name, value)                                                                       \
    {                                                                                              \
        .key = (name), .type = LOG_FIELD_INT, .number = (int64_t)(value)                           \
    }
/** Only if @condition. */
#define LOG_INT_IF(condition, name, value)                                                         \
    {                                                                                              \
        .key = (name), .type = (condition) ? LOG_FIELD_INT : LOG_FIELD_NONE,                       \
        .number = (int64_t)(value)                                                                 \
    }

/** Write @event with its fields, at least one. */
#define log_event(level, event, ...)                                                               \
    log_fields((level), (event), (const struct log_field[]){__VA_ARGS__, {.key = NULL}})

/** See log_event(). */
void log_fields(enum warren_log_level level, const char *event, const struct log_field *fields);

#endif
