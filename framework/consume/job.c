/* job.c - a job's life, and reading its message. */
#include "consume/job.h"

#include <stdlib.h>

#include "amqp/properties.h"

struct warren_job *job_new(const struct job_source *source)
{
    struct warren_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->source = source;
    arena_init(&job->arena);
    return job;
}

void job_free(struct warren_job *job)
{
    if (!job)
        return;
    arena_done(&job->arena);
    free(job);
}

void job_begin(struct warren_job *job, struct delivery *delivery, int64_t begun_ns)
{
    job->delivery = delivery;
    job->begun_ns = begun_ns;
    job->settlement = NULL;
    job->decoded = false;
    job->error[0] = '\0';
}

bool job_end(struct warren_job *job, enum warren_outcome outcome)
{
    struct settlement *settlement = job->settlement;

    job->delivery->outcome = (uint8_t)outcome;
    job->delivery = NULL;
    job->settlement = NULL;
    arena_reset(&job->arena);
    return settlement ? settlement_handled(settlement) : true;
}

/* ---- the message ---- */

struct warren_bytes warren_job_body(const struct warren_job *job)
{
    struct warren_bytes body = {delivery_body(job->delivery), job->delivery->body_len};

    return body;
}

const struct warren_properties *warren_job_properties(struct warren_job *job)
{
    if (!job->decoded) {
        /* On failure all are absent: what came over the wire was checked, so memory ran out. */
        properties_decode(delivery_properties(job->delivery), &job->arena, &job->properties);
        job->decoded = true;
    }
    return &job->properties;
}

const struct warren_value *warren_job_header(struct warren_job *job, const char *name)
{
    return warren_table_get(&warren_job_properties(job)->headers, name);
}

const char *warren_job_queue(const struct warren_job *job)
{
    return job->source->queue;
}

const char *warren_job_exchange(const struct warren_job *job)
{
    return delivery_exchange(job->delivery);
}

const char *warren_job_routing_key(const struct warren_job *job)
{
    return delivery_routing_key(job->delivery);
}

bool warren_job_redelivered(const struct warren_job *job)
{
    return job->delivery->redelivered;
}

static bool is_integer(const struct warren_value *value)
{
    switch (value->type) {
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        return true;
    default:
        return false;
    }
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    /* RabbitMQ, quorum queues: how often the message was delivered in vain. */
    const struct warren_value *count = warren_job_header(job, "x-delivery-count");

    if (count && is_integer(count) && count->as.integer >= 0 && count->as.integer < UINT32_MAX)
        return (uint32_t)count->as.integer + 1;
    return job->delivery->redelivered ? 2 : 1;
}

/* ---- time ---- */

int64_t warren_job_time_left_ms(const struct warren_job *job)
{
    int64_t deadline_ms = atomic_load_explicit(job->source->deadline_ms, memory_order_relaxed);

    if (deadline_ms == INT64_MAX)
        return INT64_MAX;
    return deadline_ms - clock_now_ms(job->source->clock);
}

int64_t warren_job_elapsed_us(const struct warren_job *job)
{
    return (clock_now_ns(job->source->clock) - job->begun_ns) / 1000;
}
