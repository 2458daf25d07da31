/* json_writer.c - see json_writer.h. */
#include "base/json_writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/utf8.h"

static void add(struct json_writer *w, const char *bytes, size_t len)
{
    if (w->status == WARREN_OK)
        w->status = buffer_append(w->buffer, bytes, len);
}

static void add_character(struct json_writer *w, const char *c, size_t len)
{
    char escaped[8];

    if (len == 0) {
        add(w, "\xef\xbf\xbd", 3);
    } else if (*c == '"' || *c == '\\') {
        add(w, "\\", 1);
        add(w, c, 1);
    } else if ((unsigned char)*c < ' ' || *c == '<' || *c == '>' || *c == '&' || *c == 0x7f) {
        snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)(unsigned char)*c);
        add(w, escaped, 6);
    } else {
        add(w, c, len);
    }
}

static void add_quoted(struct json_writer *w, const char *text)
{
    size_t left = strlen(text);

    add(w, "\"", 1);
    while (left > 0) {
        size_t len = utf8_len((const unsigned char *)text, left);
        size_t step = len > 0 ? len : 1;

        add_character(w, text, len);
        text += step;
        left -= step;
    }
    add(w, "\"", 1);
}

/* What stands before a value. */
static void begin_value(struct json_writer *w, const char *name)
{
    if (w->comma)
        add(w, ",", 1);
    w->comma = true;
    if (!name)
        return;
    add_quoted(w, name);
    add(w, ":", 1);
}

void json_writer_init(struct json_writer *w, struct buffer *buffer)
{
    *w = (struct json_writer){.buffer = buffer, .status = WARREN_OK};
}

void json_writer_begin(struct json_writer *w, const char *name, char bracket)
{
    begin_value(w, name);
    add(w, &bracket, 1);
    w->comma = false;
}

void json_writer_end(struct json_writer *w, char bracket)
{
    add(w, &bracket, 1);
    w->comma = true;
}

void json_writer_text(struct json_writer *w, const char *name, const char *text)
{
    begin_value(w, name);
    if (text)
        add_quoted(w, text);
    else
        add(w, "null", 4);
}

void json_writer_int(struct json_writer *w, const char *name, int64_t number)
{
    char text[24];

    begin_value(w, name);
    snprintf(text, sizeof text, "%" PRId64, number);
    add(w, text, strlen(text));
}

void json_writer_real(struct json_writer *w, const char *name, double number)
{
    char text[400]; /* a double has up to 309 digits before the point */

    begin_value(w, name);
    if (isfinite(number))
        c_snprintf(text, sizeof text, "%.3f", number);
    else
        snprintf(text, sizeof text, "null");
    add(w, text, strlen(text));
}

void json_writer_bool(struct json_writer *w, const char *name, bool value)
{
    begin_value(w, name);
    add(w, value ? "true" : "false", value ? 4 : 5);
}

void json_writer_raw(struct json_writer *w, const char *name, const char *text, size_t len)
{
    begin_value(w, name);
    add(w, text, len);
}
