/* job_span.c - see job_span.h. */
#include "consume/job/job_span.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/wire/property_spans.h"
#include "consume/job/job_batch.h"
#include "consume/relay/relay.h"

struct tracer *job_tracer(const struct warren_job *job)
{
    return job->source->tracer;
}

/* ---- what all of them say ---- */

static void put_ids(struct span *span, const struct traceparent *self, const char *parent_id)
{
    span->self = *self;
    memcpy(span->parent_id, parent_id, sizeof span->parent_id);
}

/* A child of the last attempt. */
static void put_child(struct span *span, const struct attempt_trace *trace)
{
    put_ids(span, &trace->self, trace->self.parent_id);
    span_new_self(&span->self);
}

static void put_address(struct span *span, const struct delivery *delivery)
{
    span_put(span, SPAN_EXCHANGE, delivery_exchange_bytes(delivery));
    span_put(span, SPAN_ROUTING_KEY, delivery_routing_key_bytes(delivery));
}

static void put_message(struct span *span, const struct job_source *source,
                        const struct delivery *delivery)
{
    struct property_spans spans;

    property_spans_find(delivery_properties(delivery), &spans);
    span->settles = true;
    span->delivery_tag = delivery->tag;
    span->has_message = true;
    span->body_size = delivery->body_len;
    span_put_text(span, SPAN_QUEUE, source->queue);
    span_put_text(span, SPAN_HANDLER, source->handler);
    span_put(span, SPAN_MESSAGE_ID, spans.message_id);
}

/* ---- attempts ---- */

bool job_trace_earlier(const struct warren_job *job, struct traceparent *ret_earlier)
{
    const struct attempt_trace *trace = job->attempt->trace;

    if (trace)
        *ret_earlier = trace->self;
    return trace != NULL;
}

/* From the arrival to now. Its id is the parent of the attempts where the message has no context;
 * also when there is no room for the span. */
static void receive(struct warren_job *job, const struct job_context *context,
                    struct attempt_trace *trace)
{
    static const char none[17] = "";
    const struct traceparent *parent = context->has_message   ? &context->message
                                       : context->has_earlier ? &context->earlier
                                                              : NULL;
    struct tracer *tracer = job->source->tracer;
    struct span *span = span_begin(tracer, SPAN_RECEIVE, SPAN_CLIENT);
    struct traceparent self = context->self;

    span_new_self(&self);
    memcpy(trace->parent_id, context->has_message ? parent->parent_id : self.parent_id,
           sizeof trace->parent_id);
    if (!span)
        return;
    put_ids(span, &self, parent ? parent->parent_id : none);
    put_address(span, &job->attempt->delivery);
    put_message(span, job->source, &job->attempt->delivery);
    span->begin_ns = job->attempt->arrived_ns;
    span->end_ns = job->begun_ns;
    span_end(tracer, span);
}

void job_trace_begin(struct warren_job *job, const struct job_context *context)
{
    struct attempt_trace *trace = job->attempt->trace;

    if (!context->self.sampled)
        return;
    if (!trace) {
        trace = job->attempt->trace = calloc(1, sizeof *trace);
        if (!trace)
            return;
        receive(job, context, trace);
    }
    trace->self = context->self;
    trace->attempt = warren_job_attempt(job);
    job->traced = true;
    job->has_earlier = context->has_earlier;
    job->earlier = context->earlier;
}

static void put_outcome(struct span *span, const struct warren_job *job,
                        enum warren_outcome outcome, const char *why)
{
    span_put_text(span, SPAN_OUTCOME, warren_outcome_name(outcome));
    if (outcome != WARREN_RETRY && outcome != WARREN_REJECT)
        return;
    span_put_text(span, SPAN_ERROR_TYPE, why);
    span_put_text(span, SPAN_ERROR, job->error);
}

/* Spans of one batch are of different traces: each of the others links to the first one. */
static void link_batch(struct span *span, const struct warren_job *job)
{
    const struct warren_batch *batch = job->batch;

    span->batch = job->batched;
    if (batch && batch->has_first &&
        strcmp(batch->first.parent_id, job->attempt->trace->self.parent_id) != 0)
        span_link(span, &batch->first);
}

void job_span_end(struct warren_job *job, enum warren_outcome outcome, const char *why)
{
    struct attempt_trace *trace = job->attempt->trace;
    struct tracer *tracer = job->source->tracer;
    struct span *span;

    if (!job->traced)
        return;
    trace->ended_ns = clock_now_ns(job->source->clock);
    span = span_begin(tracer, SPAN_PROCESS, SPAN_CONSUMER);
    if (!span)
        return;
    put_ids(span, &trace->self, trace->parent_id);
    put_address(span, &job->attempt->delivery);
    put_message(span, job->source, &job->attempt->delivery);
    span_put(span, SPAN_CORRELATION_ID,
             arena_bytes(&job->arena, warren_job_properties(job)->correlation_id));
    put_outcome(span, job, outcome, why);
    if (job->has_earlier)
        span_link(span, &job->earlier);
    link_batch(span, job);
    span->attempt = trace->attempt;
    span->begin_ns = job->begun_ns;
    span->end_ns = trace->ended_ns;
    span_end(tracer, span);
}

/* ---- publishing ---- */

/* One that the handler gave its message stays in it, and is linked to. */
static bool link_own(struct warren_job *job, const struct warren_message *message,
                     struct span *span)
{
    const struct warren_value *own = job_trace_own(job, message);
    struct traceparent context;

    if (own && (own->type == WARREN_STRING || own->type == WARREN_BYTES) &&
        traceparent_parse(own->as.bytes, &context))
        span_link(span, &context);
    return own != NULL;
}

struct publish_span *job_span_publish(struct warren_job *job, const struct warren_publish *what,
                                      const struct warren_message *message, int64_t delay_ms)
{
    struct publish_span *publish = job->traced ? malloc(sizeof *publish) : NULL;
    const struct arena *texts = &job->arena;
    struct span *span;

    if (!publish)
        return NULL;
    publish->tracer = job->source->tracer;
    publish->settlement = NULL;
    span = &publish->span;
    span_init(span, SPAN_PUBLISH, SPAN_PRODUCER);
    put_child(span, job->attempt->trace);
    traceparent_write(&span->self, publish->traceparent);
    if (link_own(job, message, span))
        span->kind = SPAN_CLIENT;
    span_put(span, SPAN_EXCHANGE, arena_bytes(texts, what->exchange));
    span_put(span, SPAN_ROUTING_KEY, arena_bytes(texts, what->routing_key));
    span_put_text(span, SPAN_HANDLER, job->source->handler);
    span_put(span, SPAN_CORRELATION_ID, arena_bytes(texts, message->properties.correlation_id));
    span->has_message = true;
    span->body_size = message->body.len;
    span->delay_ms = delay_ms > 0 ? delay_ms : -1;
    span->begin_ns = clock_now_ns(job->source->clock);
    return publish;
}

/* On any thread: by the clock that the source's is. */
static void end(struct publish_span *publish)
{
    publish->span.end_ns = clock_now_ns(clock_monotonic());
    span_copy(publish->tracer, &publish->span);
    free(publish);
}

void publish_span_receipt(const struct warren_receipt *receipt, void *user)
{
    struct publish_span *publish = user;
    struct settlement *settlement = publish->settlement;

    span_put(&publish->span, SPAN_MESSAGE_ID, receipt->message_id_bytes);
    if (receipt->result != WARREN_CONFIRMED && receipt->result != WARREN_SPOOLED) {
        span_put_text(&publish->span, SPAN_ERROR_TYPE, warren_result_name(receipt->result));
        span_put_text(&publish->span, SPAN_ERROR, receipt->reply_text);
    }
    end(publish);
    settlement_receipt(receipt, settlement);
}

void publish_span_end(struct publish_span *publish, const char *why)
{
    if (!publish)
        return;
    span_put_text(&publish->span, SPAN_ERROR_TYPE, why);
    end(publish);
}

/* ---- what becomes of the message ---- */

/* From the end of the last attempt to now. NULL: there is none, or no room. */
static struct span *follow(const struct job_source *source, const struct attempt *attempt,
                           enum span_operation operation, enum span_kind kind)
{
    struct span *span =
        attempt->trace && source->tracer ? span_begin(source->tracer, operation, kind) : NULL;

    if (!span)
        return NULL;
    put_child(span, attempt->trace);
    put_message(span, source, &attempt->delivery);
    span->attempt = attempt->trace->attempt;
    span->begin_ns = attempt->trace->ended_ns;
    span->end_ns = clock_now_ns(source->clock);
    return span;
}

void attempt_span_settled(const struct job_source *source, const struct attempt *attempt,
                          enum verdict verdict)
{
    static const uint8_t operations[] = {[VERDICT_ACK] = SPAN_ACK,
                                         [VERDICT_REJECT] = SPAN_REJECT,
                                         [VERDICT_RETRY] = SPAN_REQUEUE,
                                         [VERDICT_HANDBACK] = SPAN_NACK};
    struct span *span =
        follow(source, attempt, (enum span_operation)operations[verdict], SPAN_CLIENT);

    if (!span)
        return;
    put_address(span, &attempt->delivery);
    span_put_text(span, SPAN_OUTCOME, warren_outcome_name((enum warren_outcome)attempt->outcome));
    span_end(source->tracer, span);
}

void attempt_span_retried(const struct job_source *source, const struct attempt *attempt)
{
    bool copied = attempt->relay == RELAY_CONFIRMED;
    struct span *span = follow(source, attempt, SPAN_RETRY, copied ? SPAN_CLIENT : SPAN_INTERNAL);

    if (!span)
        return;
    if (copied)
        span_put_text(span, SPAN_ROUTING_KEY, source->queue);
    else
        put_address(span, &attempt->delivery);
    if (attempt->retry_at_ms >= 0)
        span->delay_ms = clock_minus_ms(attempt->retry_at_ms, span->end_ns / 1000000);
    if (span->delay_ms < -1)
        span->delay_ms = 0;
    span_end(source->tracer, span);
}

void attempt_span_dead_lettered(const struct job_source *source, const struct attempt *attempt,
                                const char *exchange)
{
    struct span *span = follow(source, attempt, SPAN_DEAD_LETTER, SPAN_CLIENT);

    if (!span)
        return;
    span_put_text(span, SPAN_EXCHANGE, exchange);
    if (attempt->owed)
        span_put_text(span, SPAN_REASON, attempt->owed->facts.reason);
    span_end(source->tracer, span);
}

const char *attempt_span_note(const struct attempt *attempt, char text[TRACEPARENT_SIZE])
{
    if (!attempt->trace)
        return NULL;
    traceparent_write(&attempt->trace->self, text);
    return text;
}
