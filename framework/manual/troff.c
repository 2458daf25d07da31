#include "manual/troff.h"

#include <ctype.h>
#include <string.h>

/* ---- characters ---- */

/* As code: hyphens and quotes are those of ASCII, to be copied into a terminal. */
static void put_code(FILE *out, char c)
{
    static const struct {
        char c;
        const char *troff;
    } escapes[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                   {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};

    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (c == escapes[i].c) {
            fputs(escapes[i].troff, out);
            return;
        }
    }
    fputc(c, out);
}

static void put_code_text(FILE *out, const char *text, size_t len)
{
    /* A point at the beginning of a line would be a request; within one this is nothing. */
    if (len > 0 && *text == '.')
        fputs("\\&", out);
    for (size_t i = 0; i < len; i++)
        put_code(out, text[i]);
}

static void put_font(FILE *out, char font, const char *text, size_t len)
{
    fprintf(out, "\\f%c", font);
    put_code_text(out, text, len);
    fputs("\\fR", out);
}

void troff_bold(FILE *out, const char *text, size_t len)
{
    put_font(out, 'B', text, len);
}

/* ---- words ---- */

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* The length of an option at @text, "--name" or "-n", before which stood @before; or 0. */
static size_t option_at(const char *text, size_t len, char before)
{
    size_t size = 1;

    if (len < 2 || *text != '-' || isalnum((unsigned char)before) || strchr("-_./*", before))
        return 0;
    if (text[1] == '-' && len > 2 && isalpha((unsigned char)text[2]))
        while (size < len && is_name(text[size]))
            size++;
    else if (isalpha((unsigned char)text[1]) && (len == 2 || !is_name(text[2])))
        size = 2;
    else
        return 0;
    return size;
}

/* The length of the name in "warren-run(1)" at @text, or 0. */
static size_t reference_at(const char *text, size_t len, char before)
{
    size_t size = 0;

    if (is_name(before) || before == '.')
        return 0;
    while (size < len && (is_name(text[size]) || (size > 0 && text[size] == '.')))
        size++;
    if (size == 0 || size + 3 > len || text[size] != '(' ||
        !isdigit((unsigned char)text[size + 1]) || text[size + 2] != ')')
        return 0;
    return size;
}

/* @text begins with @mark; the place behind the mark that closes it, or NULL. */
static const char *close_of(const char *text, size_t len, char mark)
{
    const char *end = len > 2 ? memchr(text + 1, mark, len - 1) : NULL;

    return end && end > text + 1 && (mark == '`' || !isspace((unsigned char)text[1])) ? end + 1
                                                                                      : NULL;
}

/* "[text](link)": writes the text. @return how long all of it is, or 0 */
static size_t put_link(FILE *out, const char *text, size_t len)
{
    const char *close = memchr(text, ']', len);
    const char *end;

    if (!close || close + 1 >= text + len || close[1] != '(')
        return 0;
    end = memchr(close, ')', (size_t)(text + len - close));
    if (!end)
        return 0;
    troff_words(out, text + 1, (size_t)(close - text - 1));
    return (size_t)(end + 1 - text);
}

/* What is marked at @text. @return its length; 0: nothing is, and nothing was written */
static size_t put_marked(FILE *out, const char *text, size_t len, char before)
{
    const char *end;
    size_t size;

    if (*text == '`' && (end = close_of(text, len, '`'))) {
        put_font(out, 'B', text + 1, (size_t)(end - text - 2));
        return (size_t)(end - text);
    }
    if (*text == '*' && !isalnum((unsigned char)before) && before != '.' &&
        (end = close_of(text, len, '*'))) {
        put_font(out, 'I', text + 1, (size_t)(end - text - 2));
        return (size_t)(end - text);
    }
    if (*text == '[')
        return put_link(out, text, len);
    size = option_at(text, len, before);
    if (size == 0)
        size = reference_at(text, len, before);
    if (size > 0)
        put_font(out, 'B', text, size);
    return size;
}

void troff_words(FILE *out, const char *text, size_t len)
{
    char before = ' ';
    size_t size;

    for (size_t i = 0; i < len; i += size) {
        size = put_marked(out, text + i, len - i, before);
        if (size == 0) {
            size = 1;
            if ((text[i] == '.' || text[i] == '\'') && (i == 0 || before == '\n'))
                fputs("\\&", out);
            if (text[i] == '-' && i + 1 < len && isdigit((unsigned char)text[i + 1]))
                fputs("\\-", out);
            else if (text[i] == '\\')
                fputs("\\e", out);
            else
                fputc(text[i], out);
        }
        before = text[i + size - 1];
    }
}

void troff_synopsis(FILE *out, const char *text)
{
    while (*text) {
        size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

        if (len > 1 || (len == 1 && !is_name(text[1]))) {
            put_font(out, 'I', text, len);
        } else if ((len = strspn(text, "abcdefghijklmnopqrstuvwxyz-+")) > 0) {
            troff_bold(out, text, len);
        } else {
            len = 1;
            fputc(*text, out);
        }
        text += len;
    }
    fputc('\n', out);
}

/* ---- a page's frame ---- */

void troff_title(FILE *out, const char *name, const char *section, const char *date,
                 const char *version)
{
    fputs(".\\\" Made of the tables of warren's commands and options. Do not edit.\n.TH ", out);
    for (; *name; name++)
        if (*name == '-')
            fputs("\\-", out);
        else
            fputc(toupper((unsigned char)*name), out);
    fprintf(out, " %s %s \"warren %s\" \"%s\"\n", section, date, version,
            *section == '5' ? "File Formats" : "User Commands");
}

void troff_heading(FILE *out, const char *name, size_t len)
{
    fputs(".SH ", out);
    for (size_t i = 0; i < len; i++)
        fputc(toupper((unsigned char)name[i]), out);
    fputc('\n', out);
}
