/* fair_away.c - those of fair lines that are too many: who is sent away, and for how long. */
#include "consume/order/fair_private.h"

/* Of the longest line: more at once would go away without need, fewer would cost a walk each. */
#define CUT_PART 8

/* What is done with each line that somebody waits in. */
typedef void line_fn(struct fair_lines *lines, struct fair_line *line, void *user);

static void each_of(struct fair_lines *lines, struct list *list, line_fn *fn, void *user)
{
    LIST_EACH(link, list)
        fn(lines, list_entry(link, struct fair_line, link), user);
}

/* From the end: @fn may take its line out of the heap, where the last one comes to that place. */
static void each_waiting(struct fair_lines *lines, line_fn *fn, void *user)
{
    each_of(lines, &lines->full, fn, user);
    each_of(lines, &lines->ring, fn, user);
    for (uint32_t i = lines->later_count; i > 0; i--)
        if (i <= lines->later_count)
            fn(lines, lines->heap[i - 1], user);
}

/* ---- the longest ---- */

static void find_longest(struct fair_lines *lines, struct fair_line *line, void *user)
{
    struct fair_line **longest = user;

    (void)lines;
    if (line->waiting.count > 0 && (!*longest || fair_line_count(line) > fair_line_count(*longest)))
        *longest = line;
}

/* Take out what is behind the first @keep of those that were not tried. */
static void cut_behind(struct fair_line *line, uint32_t keep, struct batch *batch)
{
    struct batch all = line->waiting;

    line->waiting = (struct batch){NULL, NULL, 0};
    while (line->waiting.count < keep)
        batch_add(&line->waiting, batch_pop(&all));
    batch_splice(batch, &all);
}

/* A line that stands still says nothing of its pace: the longer it does, the longer those that are
 * sent away are gone, so that each is sent a few times and no more. */
static int64_t soonest_ms(const struct fair_line *line, int64_t now_ms)
{
    int64_t stands_ms = line->last_ms > 0 ? now_ms - line->last_ms : 0;

    if (stands_ms > 2 * (int64_t)FAIR_AWAY_MAX_MS)
        return now_ms + FAIR_AWAY_MAX_MS;
    return now_ms + (stands_ms > 2 * FAIR_AWAY_MIN_MS ? stands_ms / 2 : FAIR_AWAY_MIN_MS);
}

/* The next one is back when those before it are let go, at the pace of the line. */
static int64_t back_ms(struct fair_line *line, int64_t now_ms)
{
    int64_t soonest = soonest_ms(line, now_ms);
    int64_t here_ms = now_ms + (int64_t)fair_line_count(line) * line->gap_256 / 256;
    int64_t from_ms = line->back_ms > here_ms ? line->back_ms : here_ms;
    int64_t at_ms = from_ms + line->gap_256 / 256;

    if (at_ms > now_ms + FAIR_AWAY_MAX_MS)
        at_ms = now_ms + FAIR_AWAY_MAX_MS;
    line->back_ms = at_ms;
    return at_ms > soonest ? at_ms : soonest;
}

void fair_lines_cut(struct fair_lines *lines, uint32_t most, struct batch *batch, int64_t now_ms)
{
    struct fair_line *longest = NULL;
    struct batch cut = {NULL, NULL, 0};
    uint32_t count;

    each_waiting(lines, find_longest, &longest);
    if (!longest)
        return;
    count = (longest->waiting.count + CUT_PART - 1) / CUT_PART;
    if (count > most)
        count = most;
    cut_behind(longest, longest->waiting.count - count, &cut);
    for (struct attempt *attempt = cut.first; attempt; attempt = attempt->next)
        attempt->retry_at_ms = back_ms(longest, now_ms);
    lines->waiting -= cut.count;
    batch_splice(batch, &cut);
    fair_line_changed(lines, longest, now_ms);
}

/* ---- all, and those that wait for too long ---- */

struct older {
    int64_t before_ns;
    int64_t now_ms;
    uint32_t most;
    struct batch *batch;
};

static void take_older(struct fair_lines *lines, struct fair_line *line, void *user)
{
    struct older *older = user;

    while (line->waiting.count > 0 && older->most > 0 &&
           line->waiting.first->arrived_ns < older->before_ns) {
        struct attempt *attempt = batch_pop(&line->waiting);

        attempt->retry_at_ms = older->now_ms + FAIR_AWAY_MIN_MS;
        batch_add(older->batch, attempt);
        lines->waiting--;
        older->most--;
    }
    fair_line_changed(lines, line, older->now_ms);
}

void fair_lines_take_older(struct fair_lines *lines, int64_t before_ns, uint32_t most,
                           struct batch *batch, int64_t now_ms)
{
    struct older older = {before_ns, now_ms, most, batch};

    each_waiting(lines, take_older, &older);
}

static void take_all(struct fair_lines *lines, struct fair_line *line, void *user)
{
    struct older *older = user;

    lines->waiting -= fair_line_count(line);
    batch_splice(older->batch, &line->again);
    batch_splice(older->batch, &line->waiting);
    fair_line_changed(lines, line, older->now_ms);
}

void fair_lines_take_waiting(struct fair_lines *lines, struct batch *batch, int64_t now_ms)
{
    struct older older = {0, now_ms, 0, batch};

    each_waiting(lines, take_all, &older);
}
