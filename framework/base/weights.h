/* weights.h - semaphores with weights: who may hold how much of what, and who is next.
 *
 * A claim wants so much of each of some semaphores, and gets all of it at once, or waits in one
 * line with all others. First come, first served: who waits for a semaphore is not overtaken by
 * anybody who wants any of it, however little that is; so the heavy are not starved. Who waits
 * holds nothing, so claims of several semaphores do not lock each other up.
 *
 *   take > granted                                   > give
 *      \-> waiting, by place > granted (in `granted`) -^
 *                         \-> leave
 *
 * Bound: the line is as long as there are claims, which their owners have. A turn of the line
 * costs its length, but ends when nothing is free for anybody.
 * Thread: one at a time. Owner: whoever embeds it. Elsewhere: who waits, and how
 * (consume/job/semaphores.h).
 */
#ifndef WARREN_BASE_WEIGHTS_H
#define WARREN_BASE_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/** So much of one semaphore. */
struct weights_want {
    uint32_t semaphore; /* its index */
    uint32_t weight;    /* at least 1 */
};

struct weights_claim {
    struct list link;                 /* of the line, or of `granted`; initialised by the owner */
    const struct weights_want *wants; /* borrowed; one at least, each semaphore once */
    size_t count;
    uint64_t place; /* in the line: before those with a higher one */
    bool waits;
};

struct weights_semaphore {
    uint64_t size;
    uint64_t used;
    uint64_t blocked; /* the last turn in which somebody in front has not got it */
};

struct weights {
    struct weights_semaphore *semaphores;
    size_t count;
    struct list line;    /* claims that wait, by place */
    struct list granted; /* those that waited and have it now, until the owner takes them out */
    uint64_t place;      /* the last one that was given out */
    uint64_t turn;
};

void weights_init(struct weights *weights);
/** Nobody waits. */
void weights_done(struct weights *weights);
/** There are @count semaphores, at least as many as before; the new ones of size 0. @return false:
 * no memory */
bool weights_reserve(struct weights *weights, size_t count);

/** A place behind all that were given out. */
uint64_t weights_place(struct weights *weights);

/**
 * @claim, whose place is given, gets what it wants, or waits in the line.
 *
 * @return true: it has it
 */
bool weights_take(struct weights *weights, struct weights_claim *claim);
/** @claim does not wait any more; those behind it may get their turn. */
void weights_leave(struct weights *weights, struct weights_claim *claim);
/** The same without their turn, which weights_give() or another is to bring. */
void weights_drop(struct weights *weights, struct weights_claim *claim);
/** What @wants says is free again; those that wait may get it. */
void weights_give(struct weights *weights, const struct weights_want *wants, size_t count);
/** From now on it has this size. What is held above it stays held. */
void weights_resize(struct weights *weights, uint32_t semaphore, uint64_t size);
/** The next that waited and has it now, taken out; NULL: none. */
struct weights_claim *weights_next_granted(struct weights *weights);

#endif
