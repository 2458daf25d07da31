/* settle_up.h - lets a worker thread wait until the broker knows of every ack so far: before a
 * message runs that may kill the process, for those whose acks were not sent would be handled
 * twice.
 */
#ifndef WARREN_CONSUME_SETTLE_UP_H
#define WARREN_CONSUME_SETTLE_UP_H

#include <pthread.h>

#include "loop/loop.h"

struct runtime;

/** Longest wait: without a connection there is nobody to know. */
#define SETTLE_UP_MS 2000

struct settle_up {
    struct runtime *runtime;
    struct loop_task begin;
    uint32_t barriers; /* that the broker has not answered; the loop's */

    pthread_mutex_t lock; /* guards the next block */
    pthread_cond_t answered;
    uint64_t asked_count;
    uint64_t begun_count;
    uint64_t answered_count;
};

void settle_up_init(struct settle_up *settle_up, struct runtime *runtime);
void settle_up_done(struct settle_up *settle_up);

/** Wait, for SETTLE_UP_MS at most. Thread: a worker's. */
void settle_up_wait(struct settle_up *settle_up);

#endif
