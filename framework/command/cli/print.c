#include "command/cli/print.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/c_locale.h"
#include "base/utf8.h"

static void print_json(json_t *value, size_t flags)
{
    locale_t before;

    if (!value)
        abort(); /* a few hundred bytes were refused */
    before = c_locale_begin();
    json_dumpf(value, stdout, JSON_COMPACT | flags);
    c_locale_end(before);
    putchar('\n');
    json_decref(value);
}

void cli_print_json(json_t *value)
{
    print_json(value, 0);
}

void cli_print_summary(json_t *value)
{
    print_json(value, JSON_REAL_PRECISION(DBL_DIG));
}

json_t *cli_json_bytes(struct warren_bytes bytes)
{
    json_t *value = json_stringn(bytes.data, bytes.len);
    char *copy = value ? NULL : malloc(bytes.len + 1);

    for (size_t i = 0; copy && i < bytes.len; i++) {
        unsigned char c = ((const unsigned char *)bytes.data)[i];

        copy[i] = (char)(c >= 0x80 ? '?' : c);
    }
    if (copy)
        value = json_stringn(copy, bytes.len);
    free(copy);
    return value;
}

json_t *cli_json_text(const char *text)
{
    return cli_json_bytes(warren_text(text));
}

void cli_time_text(int64_t seconds, char text[CLI_TIME_SIZE])
{
    time_t at = (time_t)seconds;
    struct tm tm;

    if (seconds <= 0 || !gmtime_r(&at, &tm) ||
        strftime(text, CLI_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(text, "-", 2);
}

json_t *cli_json_time(int64_t seconds)
{
    char text[CLI_TIME_SIZE];

    cli_time_text(seconds, text);
    return *text == '-' ? json_null() : json_string(text);
}

void cli_age_text(int64_t seconds, char text[CLI_TIME_SIZE])
{
    if (seconds < 0)
        snprintf(text, CLI_TIME_SIZE, "-");
    else if (seconds < 60)
        snprintf(text, CLI_TIME_SIZE, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, CLI_TIME_SIZE, "%" PRId64 "m %" PRId64 "s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(text, CLI_TIME_SIZE, "%" PRId64 "h %" PRId64 "m", seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(text, CLI_TIME_SIZE, "%" PRId64 "d %" PRId64 "h", seconds / 86400,
                 seconds / 3600 % 24);
}

/* @return how many columns it takes */
static int write_character(FILE *out, const char *text, size_t size)
{
    if (size > 0)
        return fwrite(text, 1, size, out) == size;
    fputs(*text ? "?" : "\\0", out);
    return *text ? 1 : 2;
}

/* A control character of two bytes is one question mark. */
static size_t step(const char *text, size_t size, size_t left)
{
    if (size == 0)
        return (unsigned char)*text == 0xc2 && left > 1 && (text[1] & 0xc0) == 0x80 ? 2 : 1;
    return size;
}

static int write_safe(FILE *out, const char *text, size_t len)
{
    int columns = 0;

    for (size_t i = 0; i < len;) {
        size_t size = utf8_plain_len(text + i, len - i);

        columns += write_character(out, text + i, size);
        i += step(text + i, size, len - i);
    }
    return columns;
}

void cli_write_safe(FILE *out, const char *text, size_t len)
{
    write_safe(out, text, len);
}

void cli_write_cell(const char *text, size_t len, int width)
{
    width -= write_safe(stdout, text, len);
    printf("%*s", width > 0 ? width + 2 : 2, "");
}

void cli_write_line(const char *name, struct warren_bytes text)
{
    if (text.len == 0)
        return;
    printf("  %-12s ", name);
    write_safe(stdout, text.data, text.len);
    putchar('\n');
}

bool cli_confirms(void)
{
    char answer[16];

    fputs("? type yes: ", stderr);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

void cli_safe_id(struct warren_bytes id, char text[CLI_SAFE_ID_SIZE])
{
    FILE *out = fmemopen(text, CLI_SAFE_ID_SIZE, "w");

    snprintf(text, CLI_SAFE_ID_SIZE, "without id");
    if (out && id.len > 0)
        cli_write_safe(out, id.data, id.len);
    if (out)
        fclose(out); /* ends it with a NUL */
}
