/* order_lines.c - see order_lines.h. */
#include "consume/order/order_lines.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_MIN 64
/* Lines that are kept for the next keys. */
#define SPARE_MAX 1024

enum warren_status order_lines_init(struct order_lines *lines, uint32_t messages)
{
    size_t buckets = BUCKETS_MIN;

    *lines = (struct order_lines){.buckets = NULL};
    while (buckets < messages)
        buckets *= 2;
    order_secret_draw(lines->secret);
    lines->mask = buckets - 1;
    lines->buckets = calloc(buckets, sizeof(struct order_line *));
    return lines->buckets ? WARREN_OK : WARREN_ENOMEM;
}

void order_lines_done(struct order_lines *lines)
{
    assert(lines->count == 0);
    while (lines->spare) {
        struct order_line *line = lines->spare;

        lines->spare = line->next;
        free(line);
    }
    free(lines->buckets);
    *lines = (struct order_lines){.buckets = NULL};
}

struct order_name order_lines_name(const struct order_lines *lines, char kind,
                                   struct warren_bytes key)
{
    return order_name_of(lines->secret, kind, key);
}

/* ---- lines come and go ---- */

/* Where the line of @name is linked, or would be. */
static struct order_line **place_of(const struct order_lines *lines, const struct order_name *name)
{
    struct order_line **place = &lines->buckets[name->low & lines->mask];

    while (*place && !order_name_same(&(*place)->name, name))
        place = &(*place)->next;
    return place;
}

static struct order_line *new_line(struct order_lines *lines)
{
    struct order_line *line = lines->spare;

    if (!line)
        return malloc(sizeof *line);
    lines->spare = line->next;
    lines->spare_count--;
    return line;
}

/* What has none for want of memory is ordered behind all others of that kind, and so are keys that
 * come meanwhile: they may be the same. */
static struct order_line *overflow(struct order_lines *lines)
{
    lines->overflows = true;
    return &lines->common;
}

/* The line of @name; @ret_is_new: it has nobody. */
static struct order_line *line_of(struct order_lines *lines, const struct order_name *name,
                                  bool *ret_is_new)
{
    struct order_line **place = place_of(lines, name);
    struct order_line *line = *place;

    *ret_is_new = false;
    if (line)
        return line;
    line = lines->overflows ? NULL : new_line(lines);
    if (!line)
        return overflow(lines);
    *line = (struct order_line){.name = *name};
    *place = line;
    *ret_is_new = true;
    return line;
}

static void end_line(struct order_lines *lines, struct order_line *line)
{
    struct order_line **place;

    lines->count--;
    if (line == &lines->common) {
        line->taken = lines->overflows = false;
        return;
    }
    place = place_of(lines, &line->name);
    assert(*place == line);
    *place = line->next;
    if (lines->spare_count == SPARE_MAX) {
        free(line);
        return;
    }
    line->next = lines->spare;
    lines->spare = line;
    lines->spare_count++;
}

/* ---- messages come and go ---- */

bool order_lines_enter(struct order_lines *lines, const struct order_name *name,
                       struct attempt *attempt)
{
    struct order_line *line = &lines->common;
    bool is_new = false;

    assert(!attempt->line);
    if (name)
        line = line_of(lines, name, &is_new);
    if (line == &lines->common) {
        is_new = !line->taken;
        line->taken = true;
    }
    if (!is_new) {
        batch_add(&line->waiting, attempt);
        lines->waiting++;
        return false;
    }
    attempt->line = line;
    lines->count++;
    return true;
}

struct attempt *order_lines_leave(struct order_lines *lines, struct attempt *attempt)
{
    struct order_line *line = attempt->line;
    struct attempt *next = batch_pop(&line->waiting);

    attempt->line = NULL;
    if (!next) {
        end_line(lines, line);
        return NULL;
    }
    lines->waiting--;
    next->line = line;
    return next;
}

void order_lines_take_waiting(struct order_lines *lines, struct batch *batch)
{
    batch_splice(batch, &lines->common.waiting);
    for (size_t i = 0; lines->waiting > 0 && i <= lines->mask; i++)
        for (struct order_line *line = lines->buckets[i]; line; line = line->next)
            batch_splice(batch, &line->waiting);
    lines->waiting = 0;
}
