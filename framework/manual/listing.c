/* listing.c - see troff.h: what a command writes itself below its help. */
#include <string.h>

#include "manual/troff.h"

static size_t indent_of(const char *line)
{
    return strspn(line, " ");
}

/* Columns, with one blank between them. */
static void write_columns(FILE *out, const char *text, size_t len)
{
    while (len > 0) {
        const char *gap = memmem(text, len, "  ", 2);
        size_t width = gap ? (size_t)(gap - text) : len;
        size_t step = width + strspn(text + width, " ");

        troff_words(out, text, width);
        if (step >= len)
            return;
        fputc(' ', out);
        text += step;
        len -= step;
    }
}

/* "  NAME  TEXT", or "  NAME MORE" with its text in the next line, which is further in. */
static void write_item(FILE *out, const char *line, size_t len, bool has_text)
{
    size_t name;
    size_t rest;

    line += indent_of(line);
    name = strcspn(line, " \n");
    rest = name + strspn(line + name, " ");
    fputs(".TP\n", out);
    troff_bold(out, line, name);
    if (rest < len)
        fputs(has_text ? " " : "\n", out);
    write_columns(out, line + rest, len > rest ? len - rest : 0);
    fputc('\n', out);
}

void troff_listing(FILE *out, const char *text)
{
    size_t outer = 0;

    while (*text) {
        size_t len = strcspn(text, "\n");
        const char *next = text + len + (text[len] == '\n');
        size_t in = indent_of(text);

        if (len > 0 && in == 0) {
            troff_heading(out, text, len - (text[len - 1] == ':'));
        } else if (len > 0 && (outer == 0 || in <= outer)) {
            outer = in;
            write_item(out, text, len - in, indent_of(next) > in);
        } else if (len > 0) {
            troff_words(out, text + in, len - in);
            fputc('\n', out);
        }
        text = next;
    }
}
