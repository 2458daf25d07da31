/* sizing.h - how many threads a subscription with a range of them (`concurrency: 2-32`) is to have
 * now: a function of what was seen of its workers, at each look.
 *
 *   grows    messages wait longer than the target, by Little's law (W = L / lambda, of what waits
 *            and how many are begun in a second; J. D. C. Little, Operations Research 9, 1961);
 *            or the prefetch window was full for as long, so that others wait at the broker.
 *            As many as bring the wait to the target (size * wait / target, as the Horizontal Pod
 *            Autoscaler of Kubernetes counts), twice as many as there are, and what waits, at most
 *   shrinks  to the most that were at work at once in SIZING_IDLE_MS, and by half at most
 *
 * Only threads that are all at work are too few: else what waits waits for something else. So a
 * load that stays finds its size and keeps it, for threads that were all needed at once are not
 * taken away.
 * Thread: none of its own. Time: what the caller says. Elsewhere: who looks, and what the process
 * has room for (consume/runtime/subscription_pool.c).
 */
#ifndef WARREN_CONSUME_SIZING_H
#define WARREN_CONSUME_SIZING_H

#include <stdbool.h>
#include <stdint.h>

/** The time between two looks, as a rule. */
#define SIZING_PERIOD_MS 100
/** Threads that nothing needed for this long end. */
#define SIZING_IDLE_MS 4000

struct sizing_range {
    uint32_t min; /* at least 1 */
    uint32_t max; /* at least min */
    int64_t target_wait_ms;
};

/** What was seen of the workers. */
struct sizing_seen {
    int64_t now_ms;
    uint32_t size;    /* how many threads there are to be */
    uint32_t running; /* of them, at work now */
    uint32_t peak;    /* the most of them at work at once since the look before */
    uint32_t queued;  /* messages that wait for one of them, */
    uint32_t perhaps; /* and that do so, or for something else: for all of these, one thread more */
    uint64_t begun;   /* messages, since ever */
    int64_t rested_ms; /* that threads had nothing to do, all together, since ever */
    bool window_full;  /* since the look before, all of the prefetch window was unsettled once */
};

struct sizing {
    struct sizing_range range;
    int64_t looked_ms;
    uint64_t begun;        /* at that look, */
    int64_t rested_ms;     /* as is this */
    int64_t moved_ms;      /* the last look at which messages were begun, or none waited */
    int64_t full_since_ms; /* since when the window is full and all are busy; -1: it is not so */
    int64_t since_ms;      /* the beginning of the time in which: */
    uint32_t peak;
    int64_t wait_ms; /* how long the last of those that wait is to wait, by the last look */
};

/** Another range, or the first one. */
void sizing_set(struct sizing *sizing, const struct sizing_range *range);
/** Nobody looked before, or for a while, for there was nothing to do. */
void sizing_begin(struct sizing *sizing, const struct sizing_seen *seen);
/**
 * A look.
 *
 * @return how many threads there should be, within the range
 */
uint32_t sizing_look(struct sizing *sizing, const struct sizing_seen *seen);
/** Fewer threads, for the process has little memory left. @return as sizing_look() */
uint32_t sizing_squeezed(const struct sizing *sizing, uint32_t size);

#endif
