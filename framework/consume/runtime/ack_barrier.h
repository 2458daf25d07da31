/* ack_barrier.h - lets a worker thread wait until all that was handled is settled, and the broker
 * knows of every ack so far: before a message runs that may kill the process, for those whose acks
 * were not sent would be handled twice.
 */
#ifndef WARREN_CONSUME_ACK_BARRIER_H
#define WARREN_CONSUME_ACK_BARRIER_H

#include "base/condition.h"
#include "loop/loop.h"

struct runtime;

/** Longest wait: a receipt may not come, and without a connection there is nobody to know. */
#define ACK_BARRIER_MS 2000

struct ack_barrier {
    struct runtime *runtime;
    struct loop_task begin;
    struct loop_timer again; /* while something that was handled is not settled */
    int64_t give_up_ms;      /* 0: that is not so */
    uint32_t barriers;       /* that the broker has not answered; all four the loop's */

    pthread_mutex_t lock; /* guards the next block */
    struct condition answered;
    uint64_t asked_count;
    uint64_t begun_count;
    uint64_t answered_count;
};

/** Of @runtime, which has its loop. WARREN_OK or WARREN_ENOMEM. */
enum warren_status ack_barrier_init(struct ack_barrier *ack_barrier, struct runtime *runtime);
/** A zeroed one is fine. */
void ack_barrier_done(struct ack_barrier *ack_barrier);

/** Wait, for ACK_BARRIER_MS at most. Thread: a worker's, alone in the exclusive gate. */
void ack_barrier_wait(struct ack_barrier *ack_barrier);

#endif
