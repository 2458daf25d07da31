/* metric_labels.c - see metric_labels.h. */
#include "base/metric_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"
/* Of one label, quoted: each byte may become three. */
#define LABELS_MAX (WARREN_LABELS_MAX * (METRIC_VALUE_MAX * 4 + 8))

static enum warren_status add_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

/* The three that the format escapes: backslash, quote, line feed. */
static const char *escape_of(char c)
{
    if (c == '\\')
        return "\\\\";
    if (c == '"')
        return "\\\"";
    return c == '\n' ? "\\n" : NULL;
}

static enum warren_status add_value(struct buffer *buffer, const char *value)
{
    size_t left = strlen(value);
    enum warren_status status = WARREN_OK;

    while (left > 0 && status == WARREN_OK) {
        size_t len = utf8_len((const unsigned char *)value, left);
        const char *escaped = len == 0 ? REPLACEMENT : escape_of(*value);

        status = escaped ? add_text(buffer, escaped) : buffer_append(buffer, value, len);
        len = len > 0 ? len : 1;
        value += len;
        left -= len;
    }
    return status;
}

static enum warren_status add_label(struct buffer *buffer, const char *name, const char *value)
{
    enum warren_status status = buffer_len(buffer) > 0 ? add_text(buffer, ",") : WARREN_OK;

    if (status == WARREN_OK)
        status = add_text(buffer, name);
    if (status == WARREN_OK)
        status = add_text(buffer, "=\"");
    if (status == WARREN_OK)
        status = add_value(buffer, value);
    return status == WARREN_OK ? add_text(buffer, "\"") : status;
}

char *metric_labels_text(const char *const *labels, const char *const *values, size_t count)
{
    enum warren_status status = WARREN_OK;
    struct buffer buffer;
    char *text = NULL;

    buffer_init(&buffer, LABELS_MAX + count * METRIC_VALUE_MAX);
    for (size_t i = 0; i < count && status == WARREN_OK; i++)
        status = values[i] ? add_label(&buffer, labels[i], values[i]) : WARREN_ENOMEM;
    if (status == WARREN_OK)
        text = buffer_len(&buffer) > 0
                   ? strndup((const char *)buffer_front(&buffer), buffer_len(&buffer))
                   : strdup("");
    buffer_done(&buffer);
    return text;
}
