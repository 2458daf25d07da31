/* log_event.c - see log_event.h. */
#include "base/log_event.h"

static void add(struct log_line *line, const struct log_field *field)
{
    switch (field->type) {
    case LOG_FIELD_NONE:
        break;
    case LOG_FIELD_TEXT:
        log_text(line, field->key, field->text);
        break;
    case LOG_FIELD_BYTES:
        log_bytes(line, field->key, field->bytes);
        break;
    case LOG_FIELD_INT:
        log_int(line, field->key, field->number);
        break;
    }
}

void log_fields(enum warren_log_level level, const char *event, const struct log_field *fields)
{
    struct log_line line;

    if (!log_enabled(level))
        return;
    log_begin(&line, level, event);
    for (; fields->key; fields++)
        add(&line, fields);
    log_end(&line);
}
