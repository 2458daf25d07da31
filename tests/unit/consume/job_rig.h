/* job_rig.h - a job on a fake clock, without a publisher, for the tests of what a job can do. */
#ifndef TESTS_UNIT_CONSUME_JOB_RIG_H
#define TESTS_UNIT_CONSUME_JOB_RIG_H

#include "consume/job/job.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

struct job_rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct warren_job *job;
    struct attempt *attempt;
};

#define JOB_RIG_START_MS 5000

static inline void job_rig_begin(struct job_rig *rig)
{
    job_begin(rig->job, rig->attempt, clock_now_ns(&rig->clock.clock));
}

/* The job is begun. */
static inline int job_rig_setup(void **state)
{
    struct warren_bytes none = {"", 0};
    struct job_rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    clock_fake_init(&rig->clock, JOB_RIG_START_MS);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){.queue = "payments",
                                      .handler = "p.charge",
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms,
                                      .broker_counts = true};
    rig->job = job_new(&rig->source);
    rig->attempt = attempt_new(none, none, none, 0);
    *state = rig;
    if (!rig->job || !rig->attempt)
        return -1;
    job_rig_begin(rig);
    return 0;
}

static inline int job_rig_teardown(void **state)
{
    struct job_rig *rig = *state;

    job_free(rig->job);
    attempt_free(rig->attempt);
    free(rig);
    return 0;
}

#define JOB_TEST(name) cmocka_unit_test_setup_teardown(name, job_rig_setup, job_rig_teardown)

#endif
