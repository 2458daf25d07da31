/* flame_graph.c - see flame_graph.h. */
#include "command/watch/flame_graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

#define WIDTH       1200.0
#define MARGIN      10.0
#define HEAD        40
#define LINE        18
#define LETTER      6.7 /* width of one, about */
#define WIDTH_LEAST 0.1 /* a narrower box would not be seen */

struct box {
    struct box *next;  /* of the same caller */
    struct box *first; /* of those that it calls */
    const char *name;  /* in the folded text */
    size_t name_len;
    uint64_t samples; /* in it, and in what it calls */
};

struct graph {
    struct box *boxes; /* all, in the order of their making; the first is the root */
    size_t count;
    size_t capacity;
    size_t depth;
};

/* ---- reading ---- */

static struct box *new_box(struct graph *graph, const char *name, size_t len)
{
    struct box *box;

    if (graph->count == graph->capacity)
        return NULL;
    box = &graph->boxes[graph->count++];
    *box = (struct box){.name = name, .name_len = len};
    return box;
}

/* Callees are in the order of their names, so that two pictures can be compared. */
static struct box *get_callee(struct graph *graph, struct box *caller, const char *name, size_t len)
{
    struct box **place = &caller->first;
    struct box *box;

    while (*place) {
        size_t least = (*place)->name_len < len ? (*place)->name_len : len;
        int order = memcmp((*place)->name, name, least);

        if (order == 0 && (*place)->name_len == len)
            return *place;
        if (order > 0 || (order == 0 && (*place)->name_len > len))
            break;
        place = &(*place)->next;
    }
    box = new_box(graph, name, len);
    if (!box)
        return NULL;
    box->next = *place;
    *place = box;
    return box;
}

static enum warren_status add_stack(struct graph *graph, const char *stack, size_t len,
                                    uint64_t samples, struct warren_error *error)
{
    struct box *box = &graph->boxes[0];
    const char *end = stack + len;
    size_t depth = 0;

    box->samples += samples;
    while (stack < end) {
        const char *semicolon = memchr(stack, ';', (size_t)(end - stack));
        size_t name_len = (size_t)((semicolon ? semicolon : end) - stack);

        if (++depth > FLAME_GRAPH_DEPTH)
            return error_set(error, WARREN_EFULL, "a stack has more than %d calls",
                             FLAME_GRAPH_DEPTH);
        box = get_callee(graph, box, stack, name_len);
        if (!box)
            return error_set(error, WARREN_EFULL, "the picture would have more than %d boxes",
                             FLAME_GRAPH_BOXES);
        box->samples += samples;
        stack += name_len + 1;
    }
    if (depth > graph->depth)
        graph->depth = depth;
    return WARREN_OK;
}

/* "STACK COUNT". @return 0: it is not */
static uint64_t read_line(const char *line, size_t len, size_t *ret_stack_len)
{
    uint64_t count = 0;
    size_t at = len;

    while (at > 0 && line[at - 1] != ' ')
        at--;
    if (at < 2 || at == len || len - at > 18)
        return 0;
    *ret_stack_len = at - 1;
    for (size_t i = at; i < len; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        count = count * 10 + (uint64_t)(line[i] - '0');
    }
    return count;
}

static enum warren_status read_all(struct graph *graph, const char *folded, size_t len,
                                   struct warren_error *error)
{
    const char *end = folded + len;
    enum warren_status status = WARREN_OK;
    size_t number = 0;

    new_box(graph, "all", 3);
    while (folded < end && status == WARREN_OK) {
        const char *newline = memchr(folded, '\n', (size_t)(end - folded));
        size_t line_len = (size_t)((newline ? newline : end) - folded);
        size_t stack_len = 0;
        uint64_t samples = read_line(folded, line_len, &stack_len);

        number++;
        if (samples == 0)
            return error_set(error, WARREN_EINVAL,
                             "line %zu of the profile is no stack with a number", number);
        status = add_stack(graph, folded, stack_len, samples, error);
        folded += line_len + 1;
    }
    if (status == WARREN_OK && graph->boxes[0].samples == 0)
        return error_set(error, WARREN_EINVAL, "the profile is empty: nothing ran meanwhile");
    return status;
}

/* ---- drawing ---- */

/* As text of XML: what is none, or not UTF-8, becomes a question mark. */
static void write_text(const char *text, size_t len, FILE *out)
{
    while (len > 0) {
        size_t step = utf8_plain_len(text, len);

        if (step == 0)
            fputc('?', out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fwrite(text, 1, step, out);
        step = step > 0 ? step : 1;
        text += step;
        len -= step;
    }
}

/* A warm colour that is the same for the same name in every picture. */
static void write_colour(const struct box *box, FILE *out)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < box->name_len; i++)
        hash = (hash ^ (unsigned char)box->name[i]) * 16777619u;
    fprintf(out, "hsl(%u,%u%%,%u%%)", 10 + hash % 40, 70 + hash / 64 % 25, 58 + hash / 4096 % 14);
}

/* The numbers of SVG have a point, whatever the locale says. */
static void write_number(double value, FILE *out)
{
    int64_t hundredths = (int64_t)(value * 100 + 0.5);

    fprintf(out, "%" PRId64 ".%02d", hundredths / 100, (int)(hundredths % 100));
}

static void write_attribute(const char *name, double value, FILE *out)
{
    fprintf(out, " %s=\"", name);
    write_number(value, out);
    fputc('"', out);
}

static void write_label(const struct box *box, double x, double y, double width, FILE *out)
{
    size_t room = width > 2 * LETTER ? (size_t)(width / LETTER) - 1 : 0;

    if (room < 3)
        return;
    fputs("<text", out);
    write_attribute("x", x + 3, out);
    write_attribute("y", y + LINE - 5, out);
    fputc('>', out);
    if (box->name_len <= room) {
        write_text(box->name, box->name_len, out);
    } else {
        write_text(box->name, room - 2, out);
        fputs("..", out);
    }
    fputs("</text>", out);
}

static void write_box(const struct graph *graph, const struct box *box, size_t depth, double x,
                      double width, FILE *out)
{
    double y = (double)(HEAD + (graph->depth - depth) * LINE);

    fputs("<g><title>", out);
    write_text(box->name, box->name_len, out);
    fprintf(out, " (%" PRIu64 " samples, ", box->samples);
    write_number(100.0 * (double)box->samples / (double)graph->boxes[0].samples, out);
    fputs(" %)</title><rect", out);
    write_attribute("x", x, out);
    write_attribute("y", y, out);
    write_attribute("width", width, out);
    fprintf(out, " height=\"%d\" rx=\"2\" fill=\"", LINE - 1);
    write_colour(box, out);
    fputs("\"/>", out);
    write_label(box, x, y, width, out);
    fputs("</g>\n", out);
}

static void write_with_callees(const struct graph *graph, const struct box *box, size_t depth,
                               double x, FILE *out)
{
    double each = (WIDTH - 2 * MARGIN) / (double)graph->boxes[0].samples;
    double width = (double)box->samples * each;

    if (width < WIDTH_LEAST)
        return;
    write_box(graph, box, depth, x, width, out);
    for (const struct box *callee = box->first; callee; callee = callee->next) {
        write_with_callees(graph, callee, depth + 1, x, out);
        x += (double)callee->samples * each;
    }
}

static void draw(const struct graph *graph, const char *title, FILE *out)
{
    int height = HEAD + (int)(graph->depth + 1) * LINE + 10;

    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"monospace\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fbfaf6\"/>\n"
            "<text x=\"%d\" y=\"24\" text-anchor=\"middle\" font-size=\"15\">",
            (int)WIDTH, height, (int)WIDTH, height, (int)WIDTH / 2);
    write_text(title, strlen(title), out);
    fputs("</text>\n", out);
    write_with_callees(graph, &graph->boxes[0], 0, MARGIN, out);
    fputs("</svg>\n", out);
}

/* No more boxes than there are names in the text. */
static size_t most_boxes(const char *folded, size_t len)
{
    size_t count = 2;

    for (size_t i = 0; i < len; i++)
        count += folded[i] == ';' || folded[i] == '\n';
    return count < FLAME_GRAPH_BOXES ? count : FLAME_GRAPH_BOXES;
}

enum warren_status flame_graph_write(const char *folded, size_t len, const char *title, FILE *out,
                                     struct warren_error *error)
{
    struct graph graph = {.capacity = most_boxes(folded, len)};
    enum warren_status status;

    graph.boxes = calloc(graph.capacity, sizeof *graph.boxes);
    if (!graph.boxes)
        return error_set(error, WARREN_ENOMEM, "no memory for the picture");
    status = read_all(&graph, folded, len, error);
    if (status == WARREN_OK)
        draw(&graph, title, out);
    free(graph.boxes);
    return status;
}
