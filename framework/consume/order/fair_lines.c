/* fair_lines.c - see fair_lines.h. Here: lines, and who is let go. Those that are sent away:
 * fair_away.c. */
#include "consume/order/fair_lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consume/order/fair_private.h"

#define BUCKETS_MIN 64
/* Lines that are looked at whether they have rested, for each new one. */
#define RESTING_LOOKS 8

enum warren_status fair_lines_init(struct fair_lines *lines, const struct fair_plan *plan)
{
    size_t buckets = BUCKETS_MIN;

    *lines = (struct fair_lines){.plan = *plan};
    list_init(&lines->ring);
    list_init(&lines->full);
    list_init(&lines->resting);
    order_secret_draw(lines->secret);
    while (buckets < plan->keys)
        buckets *= 2;
    lines->mask = buckets - 1;
    lines->buckets = calloc(buckets, sizeof(struct fair_line *));
    lines->heap = calloc((size_t)plan->keys + 2, sizeof(struct fair_line *));
    fair_line_init(lines, &lines->without, 0);
    fair_line_init(lines, &lines->overflow, 0);
    lines->without.shared = lines->overflow.shared = true;
    return lines->buckets && lines->heap ? WARREN_OK : WARREN_ENOMEM;
}

void fair_lines_done(struct fair_lines *lines)
{
    assert(lines->waiting == 0 && lines->out == 0);
    for (size_t i = 0; lines->buckets && i <= lines->mask; i++)
        while (lines->buckets[i]) {
            struct fair_line *line = lines->buckets[i];

            lines->buckets[i] = line->next;
            free(line);
        }
    free(lines->buckets);
    free(lines->heap);
    *lines = (struct fair_lines){.buckets = NULL};
}

/* ---- the heap of those that wait for their rate ---- */

static void put_at(struct fair_lines *lines, uint32_t at, struct fair_line *line)
{
    lines->heap[at] = line;
    line->place = at;
}

static void sift_up(struct fair_lines *lines, uint32_t at, struct fair_line *line)
{
    while (at > 0 && line->due_ms < lines->heap[(at - 1) / 2]->due_ms) {
        put_at(lines, at, lines->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put_at(lines, at, line);
}

static void sift_down(struct fair_lines *lines, uint32_t at, struct fair_line *line)
{
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < lines->later_count &&
            lines->heap[child + 1]->due_ms < lines->heap[child]->due_ms)
            child++;
        if (child >= lines->later_count || lines->heap[child]->due_ms >= line->due_ms)
            break;
        put_at(lines, at, lines->heap[child]);
        at = child;
    }
    put_at(lines, at, line);
}

static void heap_remove(struct fair_lines *lines, const struct fair_line *line)
{
    struct fair_line *last = lines->heap[--lines->later_count];
    uint32_t at = line->place;

    if (last == line)
        return;
    sift_up(lines, at, last);
    sift_down(lines, last->place, last);
}

/* ---- a line, and where it is ---- */

void fair_line_init(const struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    *line = (struct fair_line){.state = FAIR_IDLE};
    list_init(&line->link);
    if (lines->plan.rate.rate > 0)
        token_bucket_init(&line->bucket, &lines->plan.rate, now_ms);
}

static bool is_full(const struct fair_lines *lines, const struct fair_line *line)
{
    return lines->plan.concurrency > 0 && line->out >= lines->plan.concurrency;
}

static bool has_rate(const struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    return lines->plan.rate.rate == 0 || token_bucket_ready(&line->bucket, now_ms) > 0;
}

/* Brought up to date first, or what has come since would come on top of a full one. */
static void take_rate(const struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    if (lines->plan.rate.rate == 0)
        return;
    token_bucket_ready(&line->bucket, now_ms);
    token_bucket_take(&line->bucket, 1);
}

/* Where it belongs. */
static enum fair_state state_of(const struct fair_lines *lines, struct fair_line *line,
                                int64_t now_ms)
{
    if (fair_line_count(line) == 0)
        return FAIR_IDLE;
    if (is_full(lines, line))
        return FAIR_FULL;
    return has_rate(lines, line, now_ms) ? FAIR_READY : FAIR_LATER;
}

/* Of an idle one: from when on its rate is as if it had rested. */
static int64_t rested_ms(const struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    if (lines->plan.rate.rate == 0)
        return now_ms;
    token_bucket_ready(&line->bucket, now_ms);
    return now_ms + token_bucket_wait_ms(&line->bucket, lines->plan.rate.burst);
}

static void forget(struct fair_lines *lines, struct fair_line *line)
{
    struct fair_line **place = &lines->buckets[line->name.low & lines->mask];

    while (*place != line)
        place = &(*place)->next;
    *place = line->next;
    list_remove(&line->link);
    lines->count--;
    free(line);
}

/* Nobody waits in it. */
static void rest(struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    line->last_ms = 0;
    if (line->out > 0)
        return;
    line->due_ms = rested_ms(lines, line, now_ms);
    if (line->shared)
        return;
    if (line->due_ms <= now_ms && line->back_ms <= now_ms)
        forget(lines, line);
    else
        list_push(&lines->resting, &line->link);
}

void fair_line_changed(struct fair_lines *lines, struct fair_line *line, int64_t now_ms)
{
    enum fair_state now = state_of(lines, line, now_ms);

    if (now == line->state && now != FAIR_IDLE)
        return;
    if (line->state == FAIR_LATER)
        heap_remove(lines, line);
    list_remove(&line->link);
    line->state = now;
    switch (now) {
    case FAIR_READY:
        list_push(&lines->ring, &line->link);
        break;
    case FAIR_FULL:
        list_push(&lines->full, &line->link);
        break;
    case FAIR_LATER:
        line->due_ms = now_ms + token_bucket_wait_ms(&line->bucket, 1);
        sift_up(lines, lines->later_count++, line);
        break;
    case FAIR_IDLE:
        rest(lines, line, now_ms);
        break;
    }
}

/* Those whose rate lets them go on come to the end of the ring. */
static void wake_later(struct fair_lines *lines, int64_t now_ms)
{
    while (lines->later_count > 0 && lines->heap[0]->due_ms <= now_ms) {
        struct fair_line *line = lines->heap[0];

        if (has_rate(lines, line, now_ms)) {
            fair_line_changed(lines, line, now_ms);
            continue;
        }
        line->due_ms = now_ms + 1; /* a clock that went back */
        sift_down(lines, 0, line);
    }
}

/* ---- whose line ---- */

/* What has rested need not be known. A few at a time: each is looked at often enough. */
static void forget_rested(struct fair_lines *lines, int64_t now_ms)
{
    for (int i = 0; i < RESTING_LOOKS && !list_empty(&lines->resting); i++) {
        struct fair_line *line = list_entry(lines->resting.next, struct fair_line, link);

        list_remove(&line->link);
        if (line->due_ms <= now_ms && (line->back_ms <= now_ms || lines->count >= lines->plan.keys))
            forget(lines, line);
        else
            list_push(&lines->resting, &line->link);
    }
}

/* Is there nothing any more that its users could have in common? */
static bool is_over(const struct fair_line *line, int64_t now_ms)
{
    return fair_line_count(line) == 0 && line->out == 0 && line->due_ms <= now_ms;
}

static struct fair_line *overflow(struct fair_lines *lines)
{
    lines->overflows = true;
    lines->shared++;
    return &lines->overflow;
}

static struct fair_line *line_of(struct fair_lines *lines, const struct order_name *name,
                                 int64_t now_ms)
{
    struct fair_line **place = &lines->buckets[name->low & lines->mask];
    struct fair_line *line = *place;

    while (line && !order_name_same(&line->name, name))
        line = line->next;
    if (line)
        return line;
    if (lines->overflows && !is_over(&lines->overflow, now_ms))
        return overflow(lines);
    lines->overflows = false;
    forget_rested(lines, now_ms);
    line = lines->count < lines->plan.keys ? malloc(sizeof *line) : NULL;
    if (!line)
        return overflow(lines);
    fair_line_init(lines, line, now_ms);
    line->name = *name;
    place = &lines->buckets[name->low & lines->mask];
    line->next = *place;
    *place = line;
    lines->count++;
    return line;
}

/* ---- messages come and go ---- */

void fair_lines_enter(struct fair_lines *lines, const struct order_name *name,
                      struct attempt *attempt, bool again, int64_t now_ms)
{
    struct fair_line *line = name ? line_of(lines, name, now_ms) : &lines->without;

    assert(!attempt->fair);
    batch_add(again ? &line->again : &line->waiting, attempt);
    lines->waiting++;
    fair_line_changed(lines, line, now_ms);
}

/* How long it takes, where others wait: an average of the last eight or so. One that takes long at
 * most doubles it. */
static void learn_gap(struct fair_line *line, int64_t now_ms)
{
    int64_t most_256 = 8 * (line->gap_256 > 256 ? line->gap_256 : 256);
    int64_t gap_256 = (now_ms - line->last_ms) * 256;

    if (line->last_ms > 0)
        line->gap_256 += ((gap_256 < most_256 ? gap_256 : most_256) - line->gap_256) / 8;
    line->last_ms = now_ms;
}

struct attempt *fair_lines_next(struct fair_lines *lines, int64_t now_ms)
{
    struct fair_line *line;
    struct attempt *attempt;

    if (!fair_lines_ready(lines, now_ms))
        return NULL;
    line = list_entry(lines->ring.next, struct fair_line, link);
    attempt = batch_pop(line->again.count > 0 ? &line->again : &line->waiting);
    attempt->fair = line;
    line->out++;
    lines->out++;
    lines->waiting--;
    take_rate(lines, line, now_ms);
    learn_gap(line, now_ms);
    list_remove(&line->link);
    list_push(&lines->ring, &line->link); /* behind the others, if it stays */
    fair_line_changed(lines, line, now_ms);
    return attempt;
}

void fair_lines_leave(struct fair_lines *lines, struct attempt *attempt, int64_t now_ms)
{
    struct fair_line *line = attempt->fair;

    attempt->fair = NULL;
    line->out--;
    lines->out--;
    fair_line_changed(lines, line, now_ms);
}

bool fair_lines_ready(struct fair_lines *lines, int64_t now_ms)
{
    wake_later(lines, now_ms);
    return !list_empty(&lines->ring);
}

int64_t fair_lines_due_ms(const struct fair_lines *lines)
{
    return lines->later_count > 0 ? lines->heap[0]->due_ms : INT64_MAX;
}
