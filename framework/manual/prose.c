/* prose.c - see troff.h: paragraphs and what else stands between lines. */
#include <string.h>

#include "manual/troff.h"

/* Bound on the columns of a table. */
#define COLUMNS_MAX 8

struct prose {
    FILE *out;
    const char *at;
    const char *end;
    bool paragraph; /* what comes is not the first of its section */
};

struct span {
    const char *text;
    size_t len;
};

/* ---- lines ---- */

static struct span line_of(const struct prose *p)
{
    size_t left = p->at < p->end ? (size_t)(p->end - p->at) : 0;
    const char *newline = memchr(p->at, '\n', left);

    return (struct span){p->at, newline ? (size_t)(newline - p->at) : left};
}

static void next_line(struct prose *p)
{
    p->at += line_of(p).len;
    if (p->at < p->end)
        p->at++;
}

static bool begins(struct span line, const char *with)
{
    size_t len = strlen(with);

    return line.len >= len && memcmp(line.text, with, len) == 0;
}

/* Whether a paragraph ends before this line. */
static bool is_other(struct span line)
{
    return line.len == 0 || begins(line, "```") || begins(line, "#") || begins(line, "|") ||
           begins(line, "- ") || begins(line, "  ") || begins(line, "<!--");
}

static void separate(struct prose *p)
{
    if (p->paragraph)
        fputs(".PP\n", p->out);
    p->paragraph = true;
}

/* ---- blocks ---- */

/* Lines up to one that is of another kind. */
static void write_paragraph(struct prose *p)
{
    const char *from = p->at;
    struct span line;

    do {
        next_line(p);
        line = line_of(p);
    } while (p->at < p->end && !is_other(line));
    troff_words(p->out, from, (size_t)(p->at - from));
    if (p->at[-1] != '\n')
        fputc('\n', p->out);
}

static void write_code_line(struct prose *p, struct span line)
{
    if (line.len > 0 && (*line.text == '.' || *line.text == '\''))
        fputs("\\&", p->out);
    for (size_t i = 0; i < line.len; i++) {
        char c = line.text[i];

        fputs(c == '\\' ? "\\e" : c == '-' ? "\\-" : c == '\'' ? "\\(aq" : "", p->out);
        if (c != '\\' && c != '-' && c != '\'')
            fputc(c, p->out);
    }
    fputc('\n', p->out);
}

/* Up to the closing ```, or, without one, as long as lines are indented. */
static void write_code(struct prose *p, bool fenced)
{
    separate(p);
    fputs(".RS 4\n.nf\n", p->out);
    if (fenced)
        next_line(p);
    while (p->at < p->end) {
        struct span line = line_of(p);

        if (fenced ? begins(line, "```") : !begins(line, "  "))
            break;
        if (!fenced)
            line = (struct span){line.text + 2, line.len - 2};
        write_code_line(p, line);
        next_line(p);
    }
    if (fenced)
        next_line(p);
    fputs(".fi\n.RE\n", p->out);
}

/* An item: its first line, and those that are indented behind it. */
static void write_item(struct prose *p)
{
    const char *from = p->at + 2;

    fputs(".IP \\(bu 2\n", p->out);
    next_line(p);
    while (p->at < p->end && begins(line_of(p), "  "))
        next_line(p);
    for (size_t len; from < p->at; from += len + (from + len < p->at)) {
        struct span line = {from, (size_t)(p->at - from)};
        const char *newline = memchr(from, '\n', line.len);

        len = newline ? (size_t)(newline - from) : line.len;
        while (len > 0 && *from == ' ') {
            from++;
            len--;
        }
        troff_words(p->out, from, len);
        fputc('\n', p->out);
    }
    p->paragraph = true;
}

static void write_heading(struct prose *p)
{
    struct span line = line_of(p);
    size_t level = strspn(line.text, "#");
    const char *name = line.text + level + 1;
    size_t len = line.len - level - 1;

    if (level == 2)
        troff_heading(p->out, name, len);
    else if (level > 2)
        fprintf(p->out, ".SS %.*s\n", (int)len, name);
    p->paragraph = level < 2 && p->paragraph; /* the page's own title is no part of it */
    next_line(p);
}

static void skip_comment(struct prose *p)
{
    while (p->at < p->end) {
        struct span line = line_of(p);

        next_line(p);
        if (line.len >= 3 && memcmp(line.text + line.len - 3, "-->", 3) == 0)
            return;
    }
}

/* ---- tables ---- */

/* The cells of "| a | b |"; "\|" is no border. */
static size_t cells_of(struct span line, struct span cells[COLUMNS_MAX])
{
    size_t count = 0;
    size_t begin = 1;

    for (size_t i = 1; i < line.len && count < COLUMNS_MAX; i++) {
        size_t end = i;

        if (line.text[i] != '|' || line.text[i - 1] == '\\')
            continue;
        while (begin < end && line.text[begin] == ' ')
            begin++;
        while (end > begin && line.text[end - 1] == ' ')
            end--;
        cells[count++] = (struct span){line.text + begin, end - begin};
        begin = i + 1;
    }
    return count;
}

static void write_cell(struct prose *p, struct span cell)
{
    const char *bar;

    while ((bar = memmem(cell.text, cell.len, "\\|", 2))) {
        troff_words(p->out, cell.text, (size_t)(bar - cell.text));
        fputc('|', p->out);
        cell.len -= (size_t)(bar + 2 - cell.text);
        cell.text = bar + 2;
    }
    troff_words(p->out, cell.text, cell.len);
}

static void write_row(struct prose *p, const struct span *heads, size_t count)
{
    struct span cells[COLUMNS_MAX];
    size_t found = cells_of(line_of(p), cells);

    if (found < count)
        count = found;
    if (count == 0)
        return;
    fputs(".TP\n", p->out);
    write_cell(p, cells[0]);
    fputc('\n', p->out);
    for (size_t i = 1; i + 1 < count; i++) {
        fprintf(p->out, "%s%.*s: ", i > 1 ? "; " : "", (int)heads[i].len, heads[i].text);
        write_cell(p, cells[i]);
    }
    if (count > 2)
        fputs("\n.br\n", p->out);
    if (count > 1) {
        write_cell(p, cells[count - 1]);
        fputc('\n', p->out);
    }
}

static void write_table(struct prose *p)
{
    struct span heads[COLUMNS_MAX];
    size_t count = cells_of(line_of(p), heads);

    next_line(p);
    next_line(p); /* |---|---| */
    for (; p->at < p->end && begins(line_of(p), "|"); next_line(p))
        write_row(p, heads, count);
    p->paragraph = true;
}

void troff_prose(FILE *out, const char *text, size_t len, bool paragraph)
{
    struct prose p = {out, text, text + len, paragraph};

    while (p.at < p.end) {
        struct span line = line_of(&p);

        if (line.len == 0) {
            next_line(&p);
        } else if (begins(line, "```") || begins(line, "  ")) {
            write_code(&p, *line.text == '`');
        } else if (begins(line, "#")) {
            write_heading(&p);
        } else if (begins(line, "|")) {
            write_table(&p);
        } else if (begins(line, "- ")) {
            write_item(&p);
        } else if (begins(line, "<!--")) {
            skip_comment(&p);
        } else {
            separate(&p);
            write_paragraph(&p);
        }
    }
}

/* ---- what --help says ---- */

static enum troff_part part_of(const char *paragraph)
{
    if (strncmp(paragraph, "Exit status:", 12) == 0)
        return TROFF_EXIT_STATUS;
    return strncmp(paragraph, "Example", 7) == 0 ? TROFF_EXAMPLES : TROFF_DESCRIPTION;
}

bool troff_details(FILE *out, const char *details, enum troff_part part, const char *heading)
{
    bool any = false;

    while (details && *details) {
        const char *blank = strstr(details, "\n\n");
        size_t len = blank ? (size_t)(blank + 1 - details) : strlen(details);
        const char *from = details;

        if (part_of(details) == part) {
            if (!any && heading)
                troff_heading(out, heading, strlen(heading));
            if (part == TROFF_EXIT_STATUS)
                from += strlen("Exit status: ");
            else if (part == TROFF_EXAMPLES)
                from += strcspn(from, "\n") + 1;
            troff_prose(out, from, len - (size_t)(from - details), any);
            any = true;
        }
        details += len;
        details += strspn(details, "\n");
    }
    return any;
}
