/* sizing.c - see sizing.h. */
#include "consume/workers/sizing.h"

/* Who rests for less than this part of the time is busy. */
#define BUSY_PART 10

static uint32_t within(const struct sizing_range *range, uint64_t size)
{
    if (size < range->min)
        return range->min;
    return size < range->max ? (uint32_t)size : range->max;
}

void sizing_set(struct sizing *sizing, const struct sizing_range *range)
{
    sizing->range = *range;
}

static void begin_idle_time(struct sizing *sizing, const struct sizing_seen *seen)
{
    sizing->since_ms = seen->now_ms;
    sizing->peak = seen->running;
}

static uint32_t waiting(const struct sizing_seen *seen)
{
    return seen->queued + seen->perhaps;
}

static void remember(struct sizing *sizing, const struct sizing_seen *seen)
{
    if (waiting(seen) == 0 || seen->begun != sizing->begun)
        sizing->moved_ms = seen->now_ms;
    sizing->looked_ms = seen->now_ms;
    sizing->begun = seen->begun;
    sizing->rested_ms = seen->rested_ms;
}

void sizing_begin(struct sizing *sizing, const struct sizing_seen *seen)
{
    sizing->moved_ms = seen->now_ms;
    sizing->full_since_ms = -1;
    sizing->wait_ms = 0;
    remember(sizing, seen);
    begin_idle_time(sizing, seen);
}

/* Where none was begun since the last look: as long as it stands still, at least. */
static int64_t wait_ms(const struct sizing *sizing, const struct sizing_seen *seen)
{
    uint64_t begun = seen->begun - sizing->begun;
    int64_t elapsed_ms = seen->now_ms - sizing->looked_ms;

    if (waiting(seen) == 0)
        return 0;
    if (begun == 0)
        return seen->now_ms - sizing->moved_ms;
    return (int64_t)((uint64_t)waiting(seen) * (uint64_t)elapsed_ms / begun);
}

/* Did threads rest for more than a tenth of their time since the last look? */
static bool have_rested(const struct sizing *sizing, const struct sizing_seen *seen)
{
    int64_t elapsed_ms = seen->now_ms - sizing->looked_ms;

    return (seen->rested_ms - sizing->rested_ms) * BUSY_PART > elapsed_ms * seen->size;
}

/* Are threads what messages wait for, so that there are others behind a full window? */
static void note_full(struct sizing *sizing, const struct sizing_seen *seen)
{
    if (!seen->window_full || waiting(seen) == 0 || have_rested(sizing, seen))
        sizing->full_since_ms = -1;
    else if (sizing->full_since_ms < 0)
        sizing->full_since_ms = sizing->looked_ms;
}

static uint32_t grown(const struct sizing *sizing, const struct sizing_seen *seen)
{
    int64_t target_ms = sizing->range.target_wait_ms;
    bool full = sizing->full_since_ms >= 0 && seen->now_ms - sizing->full_since_ms >= target_ms;
    uint64_t most = 2 * (uint64_t)seen->size;
    uint64_t useful = (uint64_t)seen->size + seen->queued + (seen->perhaps > 0);
    uint64_t wanted;

    if (seen->running < seen->size || (!full && sizing->wait_ms <= target_ms))
        return seen->size;
    if (full || sizing->wait_ms / target_ms >= 2)
        wanted = most;
    else
        wanted = (seen->size * (uint64_t)sizing->wait_ms + (uint64_t)target_ms - 1) /
                 (uint64_t)target_ms;
    return within(&sizing->range, wanted < useful ? wanted : useful);
}

static uint32_t shrunk(struct sizing *sizing, const struct sizing_seen *seen)
{
    uint32_t needed = sizing->peak;

    if (seen->now_ms - sizing->since_ms < SIZING_IDLE_MS)
        return seen->size;
    if (needed < (seen->size + 1) / 2)
        needed = (seen->size + 1) / 2;
    begin_idle_time(sizing, seen);
    return within(&sizing->range, needed < seen->size ? needed : seen->size);
}

uint32_t sizing_look(struct sizing *sizing, const struct sizing_seen *seen)
{
    uint32_t size;

    if (seen->peak > sizing->peak)
        sizing->peak = seen->peak;
    sizing->wait_ms = wait_ms(sizing, seen);
    note_full(sizing, seen);
    remember(sizing, seen);
    size = within(&sizing->range, seen->size);
    if (size != seen->size)
        return size;
    size = grown(sizing, seen);
    if (size == seen->size)
        return shrunk(sizing, seen);
    begin_idle_time(sizing, seen);
    return size;
}

uint32_t sizing_squeezed(const struct sizing *sizing, uint32_t size)
{
    uint32_t fewer = size - (size + 3) / 4;

    return within(&sizing->range, fewer);
}
