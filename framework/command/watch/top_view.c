/* top_view.c - see top_view.h. */
#include "command/watch/top_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/utf8.h"

#define CELL_SIZE 32

/* Behind the name, from the left; on a narrow screen the last ones are left out. */
static const struct column {
    const char *heading;
    int width;
} columns[] = {{"STATE", 9},   {"IN/S", 7}, {"OK/S", 7},   {"FAIL/S", 7}, {"P50", 7},
               {"P99", 7},     {"BUSY", 5}, {"RUN", 5},    {"QUEUED", 7}, {"HELD", 6},
               {"RETRY/S", 8}, {"DEAD", 7}, {"THREADS", 9}};
#define COLUMNS    (sizeof columns / sizeof *columns)
#define NAME_LEAST 20
#define NAME_MOST  60

/* How many columns fit beside a name of the least width, and what is left for the name. */
static size_t columns_that_fit(int width, int *ret_name_width)
{
    int used = 0;
    size_t count = 0;

    while (count < COLUMNS && NAME_LEAST + used + 1 + columns[count].width <= width)
        used += 1 + columns[count++].width;
    *ret_name_width = width - used < NAME_MOST ? width - used : NAME_MOST;
    return count;
}

/* @text in @width columns; what a terminal would obey becomes a question mark. */
static size_t add_name(char *line, size_t at, const char *text, int width)
{
    size_t left = strlen(text);
    int column = 0;

    while (left > 0 && column < width && at < TOP_LINE_SIZE - 8) {
        size_t len = utf8_plain_len(text, left);

        if (len == 0)
            line[at++] = '?';
        memcpy(line + at, text, len);
        at += len;
        len = len > 0 ? len : 1;
        text += len;
        left -= len;
        column++;
    }
    if (left > 0 && column > 0) {
        while (at > 0 && ((unsigned char)line[at - 1] & 0xc0) == 0x80)
            at--;
        line[at - 1] = '~';
    }
    while (column++ < width && at < TOP_LINE_SIZE - 1)
        line[at++] = ' ';
    line[at] = '\0';
    return at;
}

static size_t add_cell(char *line, size_t at, const char *text, int width)
{
    int written = snprintf(line + at, TOP_LINE_SIZE - at, " %*s", width, text);

    return written > 0 && at + (size_t)written < TOP_LINE_SIZE ? at + (size_t)written : at;
}

void top_heading(int width, char line[TOP_LINE_SIZE])
{
    int name_width;
    size_t count = columns_that_fit(width, &name_width);
    size_t at = add_name(line, 0, "QUEUE > HANDLER", name_width);

    for (size_t i = 0; i < count; i++)
        at = add_cell(line, at, columns[i].heading, columns[i].width);
}

/* ---- numbers ---- */

static void rate_text(double rate, char text[CELL_SIZE])
{
    if (isnan(rate))
        snprintf(text, CELL_SIZE, "-");
    else if (rate >= 1e6)
        c_snprintf(text, CELL_SIZE, "%.1fM", rate / 1e6);
    else if (rate >= 10000)
        c_snprintf(text, CELL_SIZE, "%.1fk", rate / 1e3);
    else
        c_snprintf(text, CELL_SIZE, rate > 0 && rate < 100 ? "%.1f" : "%.0f", rate);
}

static void seconds_text(double seconds, char text[CELL_SIZE])
{
    if (isnan(seconds))
        snprintf(text, CELL_SIZE, "-");
    else if (seconds < 0.001)
        c_snprintf(text, CELL_SIZE, "%.0fus", seconds * 1e6);
    else if (seconds < 1)
        c_snprintf(text, CELL_SIZE, "%.0fms", seconds * 1e3);
    else
        c_snprintf(text, CELL_SIZE, "%.1fs", seconds);
}

static void count_text(double count, char text[CELL_SIZE])
{
    c_snprintf(text, CELL_SIZE, count < 1e6 ? "%.0f" : "%.3g", count);
}

static void share_text(double share, char text[CELL_SIZE])
{
    if (isnan(share))
        snprintf(text, CELL_SIZE, "-");
    else
        c_snprintf(text, CELL_SIZE, "%.0f%%", share * 100);
}

/* "4"; where there is a range, "12/2-32". */
static void threads_text(const struct top_row *row, char text[CELL_SIZE])
{
    if (row->threads_most > row->threads_least)
        c_snprintf(text, CELL_SIZE, "%.0f/%.0f-%.0f", row->workers, row->threads_least,
                   row->threads_most);
    else
        count_text(row->workers, text);
}

/* ---- a row ---- */

static void cells_of(const struct top_row *row, char cells[COLUMNS][CELL_SIZE])
{
    size_t i = 0;

    snprintf(cells[i++], CELL_SIZE, "%s", row->consuming ? "consumes" : "stopped");
    rate_text(TOP_RATE(row, received), cells[i++]);
    rate_text(TOP_RATE(row, settled), cells[i++]);
    rate_text(TOP_RATE(row, failures), cells[i++]);
    seconds_text(top_quantile(row, 0.5), cells[i++]);
    seconds_text(top_quantile(row, 0.99), cells[i++]);
    share_text(top_busy(row), cells[i++]);
    count_text(row->running, cells[i++]);
    count_text(row->queued, cells[i++]);
    count_text(row->held, cells[i++]);
    rate_text(TOP_RATE(row, retries), cells[i++]);
    count_text(row->now.dead_letters, cells[i++]);
    threads_text(row, cells[i++]);
}

enum top_tone top_line(const struct top_row *row, const char *worker, int width,
                       char line[TOP_LINE_SIZE])
{
    char cells[COLUMNS][CELL_SIZE];
    char name[TOP_LINE_SIZE];
    int name_width;
    size_t count = columns_that_fit(width, &name_width);
    size_t at;

    snprintf(name, sizeof name, "%s%s%s > %s", worker ? worker : "", worker ? " " : "", row->queue,
             row->handler);
    at = add_name(line, 0, name, name_width);
    cells_of(row, cells);
    for (size_t i = 0; i < count; i++)
        at = add_cell(line, at, cells[i], columns[i].width);
    if (!row->consuming || TOP_RATE(row, failures) > 0)
        return TOP_BAD;
    return TOP_RATE(row, settled) > 0 ? TOP_GOOD : TOP_PLAIN;
}

bool top_failure_line(const struct top_row *row, size_t index, char line[TOP_LINE_SIZE])
{
    const struct top_reason *reason = &row->reasons[index];
    char total[CELL_SIZE];
    char rate[CELL_SIZE];

    if (index >= row->reason_count)
        return false;
    count_text(reason->total, total);
    rate_text(row->has_before && row->seconds > 0 ? (reason->total - reason->before) / row->seconds
                                                  : NAN,
              rate);
    snprintf(line, TOP_LINE_SIZE, "  %-20s %10s in all %10s/s", reason->name, total, rate);
    return true;
}
