/* job_rig.h - a job around a message that the test makes, without a broker. */
#ifndef TESTS_UNIT_HANDLERS_JOB_RIG_H
#define TESTS_UNIT_HANDLERS_JOB_RIG_H

#include "amqp/wire/properties.h"
#include "consume/job/job.h"
#include "support/attempt.h"
#include "support/test.h"

struct rig {
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct warren_job *job;
    struct attempt *attempt;
};

static inline int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    rig->deadline_ms = INT64_MAX;
    rig->source = (struct job_source){.queue = "payments",
                                      .handler = "p.charge",
                                      .clock = clock_monotonic(),
                                      .deadline_ms = &rig->deadline_ms};
    rig->job = job_new(&rig->source);
    *state = rig;
    return rig->job ? 0 : -1;
}

static inline int rig_teardown(void **state)
{
    struct rig *rig = *state;

    job_free(rig->job);
    attempt_free(rig->attempt);
    free(rig);
    return 0;
}

/* A delivery with these properties and this body becomes the job's. */
static inline void rig_begin_whole(struct rig *rig, const struct warren_properties *properties,
                                   const struct arena *texts, struct warren_bytes body)
{
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;

    arena_init(&scratch);
    buffer_init(&out, 65536);
    assert_int_equal(properties_encode(properties, texts, 65536, &scratch, &out, NULL), WARREN_OK);
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    rig->attempt = attempt_new(warren_text("shop"), warren_text("eu.de"), encoded, body.len);
    assert_non_null(rig->attempt);
    if (body.len > 0)
        memcpy(delivery_body(&rig->attempt->delivery), body.data, body.len);
    buffer_done(&out);
    arena_done(&scratch);
    job_begin(rig->job, rig->attempt, clock_now_ns(clock_monotonic()));
}

static inline void rig_begin(struct rig *rig, const struct warren_properties *properties,
                             struct warren_bytes body)
{
    rig_begin_whole(rig, properties, NULL, body);
}

#endif
