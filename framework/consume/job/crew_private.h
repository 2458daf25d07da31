/* crew_private.h - what crew.c (workers and single messages) and crew_batch.c share. */
#ifndef WARREN_CONSUME_CREW_PRIVATE_H
#define WARREN_CONSUME_CREW_PRIVATE_H

#include "consume/job/crew.h"
#include "consume/job/job_batch.h"

/** What a worker needs for batches. Made and grown as larger ones come. Thread: the worker's, but
 * for jobs and count, which all read. */
struct crew_hand {
    struct roster jobs;     /* those beside the worker's own */
    _Atomic uint32_t count; /* of these */
    uint32_t room;          /* messages that the next three have room for */
    struct guard_message *messages;
    struct warren_job **begun;
    struct warren_job **members;
    uint32_t ran; /* messages whose time is not counted yet, beside those of the worker's job */
};

/** NULL: no memory. */
struct crew_hand *crew_hand_new(void);
/** NULL is fine. */
void crew_hand_free(struct crew_hand *hand);

struct warren_job *crew_job(const struct crew *crew, uint32_t worker);
struct crew_hand *crew_hand(const struct crew *crew, uint32_t worker);
/** @job has ended: count it. @return as job_end() */
bool crew_end(struct crew *crew, struct warren_job *job, enum warren_outcome outcome);

#endif
