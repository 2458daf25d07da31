/* span.c - see span.h. */
#include "base/span.h"

#include <string.h>

#include "base/random.h"

#define RATIO_BITS 56
#define RATIO_ONE  (UINT64_C(1) << RATIO_BITS)

enum warren_status tracer_init(struct tracer *tracer, double ratio)
{
    enum warren_status status = ring_init(&tracer->ring, sizeof(struct span), SPAN_SLOTS);

    if (status != WARREN_OK)
        return status;
    tracer->ratio = ratio >= 1 ? RATIO_ONE : ratio > 0 ? (uint64_t)(ratio * (double)RATIO_ONE) : 0;
    sem_init(&tracer->wake, 0, 0);
    tracer->full = metric_series(METRIC_SPANS_DROPPED, SPAN_DROPPED_FULL);
    return WARREN_OK;
}

void tracer_done(struct tracer *tracer)
{
    if (!tracer->ring.slots)
        return;
    metric_release(tracer->full);
    sem_destroy(&tracer->wake);
    ring_done(&tracer->ring);
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the number counts. */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

bool tracer_samples(const struct tracer *tracer, uint64_t number)
{
    return mix(number) >> (64 - RATIO_BITS) < tracer->ratio;
}

/* ---- ids ---- */

uint64_t span_new_id(void)
{
    static _Thread_local struct {
        bool seeded;
        struct random random;
    } own;
    uint64_t id;

    if (!own.seeded) {
        random_init(&own.random, random_seed());
        own.seeded = true;
    }
    do
        id = random_u64(&own.random);
    while (id == 0);
    return id;
}

void span_new_self(struct traceparent *self)
{
    traceparent_write_hex(span_new_id(), 16, self->parent_id);
}

void span_begin_trace(struct traceparent *self)
{
    traceparent_write_hex(span_new_id(), 16, self->trace_id);
    traceparent_write_hex(span_new_id(), 16, self->trace_id + 16);
    span_new_self(self);
    self->sampled = false;
}

/* ---- records ---- */

void span_init(struct span *span, enum span_operation operation, enum span_kind kind)
{
    memset(span, 0, offsetof(struct span, texts));
    span->operation = (uint8_t)operation;
    span->kind = (uint8_t)kind;
    span->delay_ms = -1;
}

void span_put(struct span *span, enum span_text which, struct warren_bytes text)
{
    size_t room = SPAN_TEXT_MAX - span->used;
    size_t len = text.len < room ? text.len : room;

    if (len == 0)
        return;
    memcpy(span->texts + span->used, text.data, len);
    span->text_at[which] = span->used;
    span->text_len[which] = (uint16_t)len;
    span->used = (uint16_t)(span->used + len);
}

void span_put_text(struct span *span, enum span_text which, const char *text)
{
    if (text)
        span_put(span, which, warren_text(text));
}

void span_link(struct span *span, const struct traceparent *cause)
{
    if (cause && span->link_count < SPAN_LINKS)
        span->links[span->link_count++] = *cause;
}

struct warren_bytes span_text(const struct span *span, enum span_text which)
{
    struct warren_bytes text = {span->texts + span->text_at[which], span->text_len[which]};

    return text;
}

/* ---- to the exporter ---- */

static struct span *claim(struct tracer *tracer, uint64_t *position)
{
    struct span *span = ring_claim(&tracer->ring, position);

    if (!span)
        warren_count(tracer->full, 1);
    return span;
}

struct span *span_begin(struct tracer *tracer, enum span_operation operation, enum span_kind kind)
{
    uint64_t position;
    struct span *span = claim(tracer, &position);

    if (!span)
        return NULL;
    span_init(span, operation, kind);
    span->position = position;
    return span;
}

void span_end(struct tracer *tracer, struct span *span)
{
    bool wakes = span->position % SPAN_BATCH == SPAN_BATCH - 1;

    ring_fill(span);
    if (wakes)
        sem_post(&tracer->wake);
}

void span_copy(struct tracer *tracer, const struct span *span)
{
    uint64_t position;
    struct span *copy = claim(tracer, &position);

    if (!copy)
        return;
    memcpy(copy, span, offsetof(struct span, texts) + span->used);
    copy->position = position;
    span_end(tracer, copy);
}

const struct span *tracer_peek(struct tracer *tracer)
{
    return ring_peek(&tracer->ring);
}

void tracer_pop(struct tracer *tracer)
{
    ring_pop(&tracer->ring);
}
