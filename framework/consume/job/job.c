/* job.c - a job's life, reading its message, and what time it is. */
#include "consume/job/job.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/wire/properties.h"
#include "base/forked.h"

/* How long a failed message waits here if nobody says: a short while, for it is a place less. */
#define JOB_HOLD_MAX_MS 30000
/* A later first failure than the year 2242 is nonsense, and would overflow below. */
#define WALL_MAX_S UINT64_C(8589934592)

struct warren_job *job_new(const struct job_source *source)
{
    struct warren_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->source = source;
    job->forks = forked_begin();
    atomic_init(&job->limit_ms, INT64_MAX);
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
    semaphore_hold_done(&job->hold);
    free(job);
}

void job_begin(struct warren_job *job, struct attempt *attempt, int64_t begun_ns)
{
    char *zero = (char *)job + offsetof(struct warren_job, settlement);
    char *middle = (char *)job + offsetof(struct warren_job, on_reply);
    char *end = (char *)job + offsetof(struct warren_job, properties);

    /* In halves, which become a few stores; the whole would be a loop of several ns. */
    memset(zero, 0, (size_t)(middle - zero));
    memset(middle, 0, (size_t)(end - middle));
    job->attempt = attempt;
    job->begun_ns = begun_ns;
    if (attempt->first_ns == 0)
        attempt->first_ns = begun_ns;
    atomic_store_explicit(&job->limit_ms, INT64_MAX, memory_order_relaxed);
    job->retry_delay_ms = -1;
    job->hold_max_ms = JOB_HOLD_MAX_MS;
    job->reason[0] = '\0';
    job->error[0] = '\0';
    attempt->relay = RELAY_NONE;
}

bool job_end(struct warren_job *job, enum warren_outcome outcome)
{
    struct settlement *settlement;

    job->attempt->outcome = (uint8_t)outcome;
    job->attempt->retry_at_ms = -1; /* receipts may make it WARREN_RETRY yet */
    if (outcome != WARREN_ACK && outcome != WARREN_DISCARD)
        job_relay(job);
    settlement = job->settlement;
    job->attempt = NULL;
    job->settlement = NULL;
    atomic_store_explicit(&job->limit_ms, INT64_MAX, memory_order_relaxed);
    arena_reset(&job->arena);
    if (job->alarm.in_use)
        job_alarm_rest(&job->alarm);
    return settlement ? settlement_handled(settlement) : true;
}

/* ---- the message ---- */

struct warren_bytes warren_job_body(const struct warren_job *job)
{
    struct warren_bytes body = {delivery_body(&job->attempt->delivery),
                                job->attempt->delivery.body_len};

    return body;
}

const struct warren_properties *warren_job_properties(struct warren_job *job)
{
    if (!job->decoded) {
        /* On failure all are absent: what came over the wire was checked, so memory ran out. */
        properties_decode(delivery_properties(&job->attempt->delivery), &job->arena,
                          &job->properties);
        job->decoded = true;
    }
    return &job->properties;
}

const struct warren_value *warren_job_header(struct warren_job *job, const char *name)
{
    return table_get(&warren_job_properties(job)->headers, name, &job->arena);
}

struct warren_bytes warren_job_text(const struct warren_job *job, const char *text)
{
    return arena_bytes(&job->arena, text);
}

struct arena *job_arena(struct warren_job *job)
{
    return &job->arena;
}

struct warren_bytes job_message_id(struct warren_job *job)
{
    return arena_bytes(&job->arena, warren_job_properties(job)->message_id);
}

const char *warren_job_queue(const struct warren_job *job)
{
    return job->source->queue;
}

/* What the headers say of the message's way. Decoding is caching, which a reader of the job does
 * not see. */
static const struct history *history_of(const struct warren_job *job)
{
    struct warren_job *own = (struct warren_job *)(uintptr_t)job;

    if (!job->history_known) {
        /* Without memory the message is taken for a new one. */
        history_read(&job->attempt->delivery, job->source->queue, job->source->broker_counts,
                     &own->arena, &own->history);
        own->history_known = true;
    }
    return &job->history;
}

/* A name of the delivery's own; its length is known from now on. Noting it is caching, too. */
static const char *noted(const struct warren_job *job, const char *name, uint32_t len)
{
    arena_note(&((struct warren_job *)(uintptr_t)job)->arena, name, len);
    return name;
}

const char *warren_job_exchange(const struct warren_job *job)
{
    const char *first = history_of(job)->exchange;
    const struct attempt *attempt = job->attempt;

    return first
               ? first
               : noted(job, delivery_exchange(&attempt->delivery), attempt->delivery.exchange_len);
}

const char *warren_job_routing_key(const struct warren_job *job)
{
    const char *first = history_of(job)->routing_key;
    const struct attempt *attempt = job->attempt;

    return first ? first
                 : noted(job, delivery_routing_key(&attempt->delivery),
                         attempt->delivery.routing_key_len);
}

struct warren_bytes warren_job_key(struct warren_job *job)
{
    const struct edition *edition = job->attempt->edition;
    const struct warren_handler *definition =
        edition ? edition->chain.handler : job->source->definition;
    void *state = edition ? edition->chain.state : job->source->state;
    struct warren_bytes none = {NULL, 0};

    return definition && definition->key ? definition->key(job, state) : none;
}

bool warren_job_redelivered(const struct warren_job *job)
{
    return job->attempt->delivery.redelivered;
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    uint64_t attempt = UINT64_C(1) + history_of(job)->failed + job->attempt->failed;

    return attempt < UINT32_MAX ? (uint32_t)attempt : UINT32_MAX;
}

/* No other delivery of the subscription has both numbers. */
uint64_t warren_job_seed(const struct warren_job *job)
{
    uint64_t place = job->attempt->delivery.tag ^ (uint64_t)job->attempt->delivery.generation << 40;

    return job->source->seed ^ place * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- time ---- */

int64_t warren_job_elapsed_us(const struct warren_job *job)
{
    return (clock_now_ns(job->source->clock) - job->begun_ns) / 1000;
}

/* Once moved to an earlier process's attempt it stays, for a retry takes it for the message's. */
int64_t warren_job_first_ms(const struct warren_job *job)
{
    struct attempt *attempt = job->attempt;
    uint64_t first_s = history_of(job)->first_failure_s;

    if (first_s > 0 && !attempt->first_moved) {
        int64_t age_ms = clock_wall_ms() - (int64_t)(first_s < WALL_MAX_S ? first_s : 0) * 1000;
        int64_t first_ns = clock_now_ns(job->source->clock) - age_ms * 1000000;

        attempt->first_moved = true;
        if (first_s < WALL_MAX_S && first_ns < attempt->first_ns)
            attempt->first_ns = first_ns;
    }
    return attempt->first_ns / 1000000;
}

int64_t warren_job_now_ms(const struct warren_job *job)
{
    return clock_now_ms(job->source->clock);
}
