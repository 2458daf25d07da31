/* job.c - a job's life, reading its message, and what time it is. */
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
    job_alarm_init(&job->alarm);
    return job;
}

void job_free(struct warren_job *job)
{
    if (!job)
        return;
    arena_done(&job->arena);
    job_alarm_done(&job->alarm);
    free(job);
}

void job_begin(struct warren_job *job, struct delivery *delivery, int64_t begun_ns)
{
    job->delivery = delivery;
    job->begun_ns = begun_ns;
    if (delivery->first_ns == 0)
        delivery->first_ns = begun_ns;
    job->settlement = NULL;
    atomic_store_explicit(&job->limit_ms, INT64_MAX, memory_order_relaxed);
    job->retry_delay_ms = -1;
    job->recovery = NULL;
    job->traceparent = job->tracestate = NULL;
    job->forgiven = false;
    job->decoded = false;
    job->error[0] = '\0';
}

/* What the next attempt has to know, and when it may be. */
static void note_failure(struct warren_job *job)
{
    struct delivery *delivery = job->delivery;

    delivery->forgiven = job->forgiven;
    delivery->failed += !job->forgiven;
    delivery->retry_at_ms = job->retry_delay_ms;
    if (job->retry_delay_ms >= 0 &&
        __builtin_add_overflow(job->retry_from_ms, job->retry_delay_ms, &delivery->retry_at_ms))
        delivery->retry_at_ms = INT64_MAX;
}

bool job_end(struct warren_job *job, enum warren_outcome outcome)
{
    struct settlement *settlement = job->settlement;

    if (outcome == WARREN_RETRY)
        note_failure(job);
    else
        job->delivery->retry_at_ms = -1; /* receipts may make it WARREN_RETRY yet */
    job->delivery->outcome = (uint8_t)outcome;
    job->delivery = NULL;
    job->settlement = NULL;
    arena_reset(&job->arena);
    if (job->alarm.in_use)
        job_alarm_rest(&job->alarm);
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

/* RabbitMQ, quorum queues: how often the message was delivered in vain. */
static uint32_t failed_before(struct warren_job *job)
{
    const struct warren_value *count;

    /* The flight recorder knows which message failed; the broker counts all that were with it. */
    if (job->worker)
        return 0;
    count = warren_job_header(job, "x-delivery-count");
    if (count && is_integer(count) && count->as.integer >= 0 && count->as.integer < UINT32_MAX)
        return (uint32_t)count->as.integer;
    return job->delivery->redelivered ? 1 : 0;
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    uint64_t attempt = UINT64_C(1) + failed_before(job) + job->delivery->failed;

    return attempt < UINT32_MAX ? (uint32_t)attempt : UINT32_MAX;
}

/* No other delivery of the subscription has both numbers. */
uint64_t warren_job_seed(const struct warren_job *job)
{
    uint64_t place = job->delivery->tag ^ (uint64_t)job->delivery->generation << 40;

    return job->source->seed ^ place * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- time ---- */

int64_t warren_job_elapsed_us(const struct warren_job *job)
{
    return (clock_now_ns(job->source->clock) - job->begun_ns) / 1000;
}

int64_t warren_job_first_ms(const struct warren_job *job)
{
    return job->delivery->first_ns / 1000000;
}

int64_t warren_job_now_ms(const struct warren_job *job)
{
    return clock_now_ms(job->source->clock);
}
