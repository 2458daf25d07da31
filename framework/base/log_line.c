/* log_line.c - see log_line.h. */
#include "base/log_line.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/utf8.h"

/** What one value may take of a line, so that later fields have room. */
#define VALUE_MAX 1280

/** Kept free for the end of a line: the mark of a cut value, a quote, a brace, a newline. */
#define TAIL_SIZE 6

/** A field whose value could not show as many bytes is left out. */
#define VALUE_SHORT 12

/** The longest escaped form of one character: \uXXXX. */
#define ESCAPE_MAX 6

static _Atomic int line_format = LOG_LOGFMT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_line_format(enum log_format format)
{
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

static bool is_json(const struct log_line *line)
{
    return line->text[0] == '{';
}

static size_t room(const struct log_line *line)
{
    return line->len < LOG_LINE_MAX - TAIL_SIZE ? LOG_LINE_MAX - TAIL_SIZE - line->len : 0;
}

static void put(struct log_line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += (uint32_t)len;
}

/* The key and what follows it; false if it and a short value have no room. */
static bool put_key(struct log_line *line, const char *key, size_t value_len)
{
    size_t len = strlen(key);

    if (len + value_len + 8 > room(line))
        return false;
    if (is_json(line)) {
        put(line, line->len > 1 ? ",\"" : "\"", line->len > 1 ? 2 : 1);
        put(line, key, len);
        put(line, "\":", 2);
    } else {
        put(line, " ", line->len > 0 ? 1 : 0);
        put(line, key, len);
        put(line, "=", 1);
    }
    return true;
}

static size_t put_hex(char *to, const char *prefix, unsigned char code)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = strlen(prefix);

    memcpy(to, prefix, len);
    to[len] = hex[code >> 4];
    to[len + 1] = hex[code & 15];
    return len + 2;
}

static char escape_letter(unsigned char c)
{
    switch (c) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char)c;
    default:
        return '\0';
    }
}

/* Write the character at *@text as it may stand between quotes, step over it, and return the
 * length of what was written. */
static size_t escape(const unsigned char **text, const unsigned char *text_end, bool json,
                     char escaped[ESCAPE_MAX])
{
    const unsigned char *c = *text;
    size_t len = utf8_len(c, (size_t)(text_end - c));
    char letter = escape_letter(*c);

    *text += len ? len : 1;
    if (letter) {
        escaped[0] = '\\';
        escaped[1] = letter;
        return 2;
    }
    if (len == 0 && json) {
        memcpy(escaped, "\\ufffd", 6);
        return 6;
    }
    if (len == 0)
        return put_hex(escaped, "\\x", *c);
    /* C0, DEL and C1: a terminal would obey them. */
    if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
        return put_hex(escaped, "\\u00", len == 1 ? c[0] : c[1]);
    memcpy(escaped, c, len);
    return len;
}

static bool needs_quotes(struct warren_bytes value)
{
    const unsigned char *c = value.data;

    for (size_t i = 0; i < value.len; i++)
        if (c[i] <= ' ' || c[i] == '"' || c[i] == '=' || c[i] == '\\' || c[i] >= 0x7f)
            return true;
    return value.len == 0;
}

static size_t value_room(const struct log_line *line)
{
    return room(line) < VALUE_MAX ? room(line) : VALUE_MAX;
}

static void put_quoted(struct log_line *line, struct warren_bytes value)
{
    const unsigned char *text = value.data;
    const unsigned char *text_end = text + value.len;
    size_t end = line->len + value_room(line);
    bool json = is_json(line);

    put(line, "\"", 1);
    while (text < text_end) {
        char escaped[ESCAPE_MAX];
        size_t len = escape(&text, text_end, json, escaped);

        if (line->len + len > end) {
            put(line, "...", 3);
            break;
        }
        put(line, escaped, len);
    }
    put(line, "\"", 1);
}

void log_bytes(struct log_line *line, const char *key, struct warren_bytes value)
{
    size_t len = value.len;

    if (!value.data || !put_key(line, key, len < VALUE_SHORT ? len : VALUE_SHORT))
        return;
    if (!is_json(line) && len <= value_room(line) && !needs_quotes(value))
        put(line, value.data, len);
    else
        put_quoted(line, value);
}

void log_text(struct log_line *line, const char *key, const char *value)
{
    log_bytes(line, key, (struct warren_bytes){value, value ? strlen(value) : 0});
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)value);

    if (put_key(line, key, (size_t)len))
        put(line, digits, (size_t)len);
}

void log_bool(struct log_line *line, const char *key, bool value)
{
    if (put_key(line, key, 5))
        put(line, value ? "true" : "false", value ? 4 : 5);
}

static void put_time(struct log_line *line)
{
    int64_t now_ms = clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    char text[40];
    struct tm utc;
    size_t len;

    gmtime_r(&now_s, &utc);
    len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now_ms % 1000));
    log_text(line, "time", text);
}

void log_begin(struct log_line *line, enum warren_log_level level, const char *event)
{
    line->level = level;
    line->len = 0;
    line->text[0] = '\0';
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON)
        put(line, "{", 1);
    put_time(line);
    log_text(line, "level", level_names[level]);
    log_text(line, "msg", event);
}

void log_begin_format(struct log_line *line, enum warren_log_level level, size_t size,
                      const char *format, va_list arguments)
{
    char event[LOG_LINE_MAX];

    vsnprintf(event, size < sizeof event ? size : sizeof event, format, arguments);
    log_begin(line, level, event);
}

void log_close(struct log_line *line)
{
    if (is_json(line))
        put(line, "}", 1);
    put(line, "\n", 1);
}
