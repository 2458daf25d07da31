/* fair_lines.h - messages in lines by key, of which one is let go after the other, a key at a time:
 * at most so many of a key are on their way at once, and so many of it begin in a time.
 *
 *   enter > [its line] ... its turn: next > on its way > leave
 *
 * A line that has messages, a free place and something left of its rate stands in the ring; who is
 * served goes to the end of that. So whoever stands in it is served once before anybody is twice. A
 * line whose rate is used up is in a heap, by when it is due. One without messages stays as long as
 * something is to be known of it: what it has on its way, and until its rate is as if it had
 * rested. Bound: `keys` lines. Those that come when there is none left, and for want of memory,
 * share one until that is empty, for a key must not be in two. So limits are kept whatever is sent.
 * Pure: the clock's reading is handed in, in ms. Thread: one at a time.
 * Owner: struct subscription_fair embeds one; the messages in lines are its own.
 * Elsewhere: what the key is (order_key.h), when lines are entered and left
 * (consume/runtime/subscription_fair.c).
 */
#ifndef WARREN_CONSUME_FAIR_LINES_H
#define WARREN_CONSUME_FAIR_LINES_H

#include "base/list.h"
#include "base/token_bucket.h"
#include "consume/attempt/batch.h"
#include "consume/order/order_key.h"

/** The shortest and the longest time for which a message is sent away. */
#define FAIR_AWAY_MIN_MS 1000
#define FAIR_AWAY_MAX_MS 600000

struct fair_plan {
    uint32_t concurrency;   /* messages of a key on their way; 0: no bound */
    struct token_plan rate; /* of a key; rate 0: no limit */
    uint32_t keys;          /* lines at most, at least 1 */
};

/** Where a line is. */
enum fair_state {
    FAIR_IDLE,  /* nobody waits in it: in the list of the resting, or all is on its way */
    FAIR_READY, /* in the ring */
    FAIR_LATER, /* in the heap: its rate is used up */
    FAIR_FULL   /* in the list of the full: all its places are taken */
};

struct fair_line {
    struct order_name name;
    struct fair_line *next; /* in its bucket */
    struct list link;       /* in that of its state */
    enum fair_state state;
    bool shared;          /* one of the two that are always there */
    uint32_t place;       /* in the heap */
    uint32_t out;         /* on their way */
    struct batch again;   /* those that were tried before: they go first */
    struct batch waiting; /* in the order in which they came */
    struct token_bucket bucket;
    int64_t due_ms;  /* in the heap: when it may go on. Idle: when its rate is as after a rest */
    int64_t last_ms; /* when the last one was let go; 0: none was, or nobody waited then */
    int64_t gap_256; /* of 1/256 ms: the time between two that are let go while others wait */
    int64_t back_ms; /* when the last of those that were sent away is to be back */
};

struct fair_lines {
    struct fair_plan plan;
    struct fair_line **buckets;
    size_t mask; /* their count - 1 */
    struct list ring;
    struct list full;
    struct list resting; /* those that went idle, the longest ago first; the shared are not in it */
    struct fair_line **heap; /* of `later_count`, the earliest on top */
    uint32_t later_count;
    struct fair_line without;  /* of messages that have no key */
    struct fair_line overflow; /* of keys for which there was no line */
    bool overflows;            /* somebody is in that, or its rate has not rested: no new lines */
    uint8_t secret[SIPHASH_SIZE];
    uint32_t count;   /* of lines, without those two */
    uint32_t waiting; /* messages */
    uint32_t out;     /* on their way */
    uint64_t shared;  /* messages that came to the line of overflow */
};

/** WARREN_OK or WARREN_ENOMEM. */
enum warren_status fair_lines_init(struct fair_lines *lines, const struct fair_plan *plan);
/** Nobody waits and nothing is on its way, or zeroed. */
void fair_lines_done(struct fair_lines *lines);

/**
 * @attempt, which is in no line, comes to that of @name; NULL: of those without a key.
 *
 * @again  it was tried before, and goes before those that were not
 */
void fair_lines_enter(struct fair_lines *lines, const struct order_name *name,
                      struct attempt *attempt, bool again, int64_t now_ms);
/** Whose turn it is at @now_ms; its `fair` is set, until fair_lines_leave(). NULL: nobody's. */
struct attempt *fair_lines_next(struct fair_lines *lines, int64_t now_ms);
/** @attempt, which was let go, is handled, or waits for another attempt. */
void fair_lines_leave(struct fair_lines *lines, struct attempt *attempt, int64_t now_ms);
/** May somebody go at @now_ms? */
bool fair_lines_ready(struct fair_lines *lines, int64_t now_ms);
/** When somebody's rate lets go the next one; INT64_MAX: nobody waits for that. */
int64_t fair_lines_due_ms(const struct fair_lines *lines);

/**
 * There are too many. Append to @batch the last eighth of the longest line, one at least if anybody
 * waits, and @most at most; those that were tried before stay. Each has in its retry_at_ms when it
 * should be back, by when those before it will be done, or, where the line stands still, when it
 * has stood half as long again; FAIR_AWAY_MIN_MS to FAIR_AWAY_MAX_MS from now.
 */
void fair_lines_cut(struct fair_lines *lines, uint32_t most, struct batch *batch, int64_t now_ms);
/** Append to @batch the first of each line that came before @before_ns (`arrived_ns`), up to
 * @most. They should be back after FAIR_AWAY_MIN_MS. */
void fair_lines_take_older(struct fair_lines *lines, int64_t before_ns, uint32_t most,
                           struct batch *batch, int64_t now_ms);
/** Append to @batch all that wait; they are in no line any more. */
void fair_lines_take_waiting(struct fair_lines *lines, struct batch *batch, int64_t now_ms);

#endif
