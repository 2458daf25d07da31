/* job.h - one message being handled: what <warren/handler.h> promises, for one worker thread.
 * A worker thread owns one struct warren_job and uses it again for each message.
 * Thread: the worker's. Elsewhere: publishing from a job (job_publish.c).
 */
#ifndef WARREN_CONSUME_JOB_H
#define WARREN_CONSUME_JOB_H

#include <stdatomic.h>

#include <warren/handler.h>
#include <warren/publisher.h>

#include "amqp/delivery.h"
#include "base/arena.h"
#include "base/clock.h"
#include "consume/settlement.h"

/** Bytes kept of what warren_job_fail() was told, with the NUL. */
#define JOB_ERROR_SIZE 1025

/** What all jobs of a subscription have in common. Outlives them. */
struct job_source {
    const char *queue;
    const char *handler;                /* "PLUGIN.HANDLER" */
    struct warren_publisher *publisher; /* NULL: publishing answers WARREN_ECLOSED */
    struct clock *clock;
    const _Atomic int64_t *deadline_ms; /* by the clock, when draining must end; INT64_MAX: none */
    settlement_done_fn *settled;        /* told for a delivery whose receipts came late */
    void *user;
};

struct warren_job {
    struct delivery *delivery;
    const struct job_source *source;
    struct settlement *settlement; /* NULL until the job publishes */
    int64_t begun_ns;
    bool decoded;
    struct warren_properties properties; /* once decoded */
    struct arena arena;
    char error[JOB_ERROR_SIZE];
};

/** NULL: no memory. @source is borrowed. */
struct warren_job *job_new(const struct job_source *source);
/** NULL is fine. */
void job_free(struct warren_job *job);

/** From now on the job is @delivery's (borrowed), begun at @begun_ns of the source's clock. */
void job_begin(struct warren_job *job, struct delivery *delivery, int64_t begun_ns);

/**
 * The chain answered @outcome: write it into the delivery and forget that.
 *
 * @return true: the delivery is settled; false: source->settled() will be called, perhaps by now
 */
bool job_end(struct warren_job *job, enum warren_outcome outcome);

#endif
