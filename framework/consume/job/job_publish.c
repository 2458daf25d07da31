/* job_publish.c - publishing from a job: the input is held back until the output is confirmed. */
#include <stdio.h>

#include "consume/job/job_span.h"
#include "publish/message/refusal.h"

/* Two names of AMQP, and some words. */
#define WHERE_SIZE 640

/* The message may live as long as the job's time limit, so that its receipt comes before it. */
static uint32_t life_ms(int64_t left_ms)
{
    return left_ms > UINT32_MAX ? 0 : (uint32_t)left_ms;
}

/* @span: NULL, or freed here. */
static enum warren_status publish_held(struct warren_job *job, const struct warren_publish *what,
                                       int64_t delay_ms, int64_t left_ms, struct publish_span *span)
{
    warren_receipt_fn *on_receipt = span ? publish_span_receipt : settlement_receipt;
    enum warren_status status;

    if (!job->settlement)
        job->settlement = settlement_new(job->attempt, job->source->settled, job->source->user);
    if (!job->settlement) {
        publish_span_end(span, warren_status_name(WARREN_ENOMEM));
        return WARREN_ENOMEM;
    }
    settlement_hold(job->settlement);
    if (span)
        span->settlement = job->settlement;
    status = job->source->publish(job->source->publisher, what, &job->arena, delay_ms, left_ms,
                                  on_receipt, span ? (void *)span : job->settlement);
    if (status == WARREN_OK) {
        job->published = true;
        return WARREN_OK;
    }
    settlement_unhold(job->settlement);
    publish_span_end(span, warren_status_name(status));
    return status;
}

/* A publisher says only that a rule is broken; which one it is helps more. */
static void tell_why(struct warren_job *job, const struct warren_publish *what,
                     const struct warren_message *message, int64_t delay_ms)
{
    struct warren_publish given = *what;
    struct warren_error error;

    given.message = message;
    if (publish_explain(&given, &job->arena, delay_ms, &error))
        warren_job_fail(job, "cannot publish: %s", error.text);
    else if (delay_ms > 0)
        warren_job_fail(job, "cannot publish: a delay of %lld ms is above delay.longest",
                        (long long)delay_ms);
}

/* Into the spool, with what else the transaction writes. Published now, it would stay although the
 * transaction is rolled back; and not confirmed, it would be lost, for the message is known as
 * handled. */
static enum warren_status publish_in_transaction(struct warren_job *job, struct warren_publish what,
                                                 const struct warren_message *message,
                                                 int64_t delay_ms)
{
    struct warren_error error = {WARREN_OK, ""};
    struct publish_span *span;
    struct job_traced traced;
    enum warren_status status;

    if (!job->outbox || !job->source->append) {
        warren_job_fail(job, "within its transaction a handler can publish only through a spool in "
                             "the same file: set spool.path to that of store.path");
        return WARREN_EINVAL;
    }
    what.timeout_ms = 0;
    span = job_span_publish(job, &what, message, delay_ms);
    status = job_trace(job, span ? span->traceparent : job->traceparent, message, &traced);
    what.message = &traced.message;
    if (status == WARREN_OK)
        status = job->source->append(job->source->publisher, &what, &job->arena, delay_ms,
                                     job->outbox, &error);
    job_traced_done(&traced);
    publish_span_end(span, status == WARREN_OK ? NULL : warren_status_name(status));
    if (status != WARREN_OK && error.text[0])
        warren_job_fail(job, "cannot publish: %s", error.text);
    if (status == WARREN_EINVAL)
        tell_why(job, &what, message, delay_ms);
    return status;
}

/* The same with the job's trace context. */
static enum warren_status publish_traced(struct warren_job *job, struct warren_publish what,
                                         const struct warren_message *message, int64_t delay_ms,
                                         int64_t left_ms)
{
    struct publish_span *span = job_span_publish(job, &what, message, delay_ms);
    struct job_traced traced;
    enum warren_status status =
        job_trace(job, span ? span->traceparent : job->traceparent, message, &traced);

    what.message = &traced.message;
    if (status == WARREN_OK)
        status = publish_held(job, &what, delay_ms, left_ms, span);
    else
        publish_span_end(span, warren_status_name(status));
    job_traced_done(&traced);
    return status;
}

static enum warren_status publish_now(struct warren_job *job, const char *exchange,
                                      const char *routing_key, const struct warren_message *message,
                                      int64_t delay_ms, bool optional)
{
    int64_t left_ms = warren_job_time_left_ms(job);
    struct warren_publish what = {.exchange = exchange,
                                  .routing_key = routing_key,
                                  .message = message,
                                  .optional = optional,
                                  .timeout_ms = life_ms(left_ms)};
    enum warren_status status;

    if (!message) {
        warren_job_fail(job, "cannot publish: the message is NULL");
        return WARREN_EINVAL;
    }
    if (job->in_transaction && (job->outbox || !optional))
        return publish_in_transaction(job, what, message, delay_ms);
    if (!job->source->publish)
        return WARREN_ECLOSED;
    if (left_ms <= 0)
        return WARREN_ETIMEOUT;
    if (job->traceparent)
        status = publish_traced(job, what, message, delay_ms, left_ms);
    else
        status = publish_held(job, &what, delay_ms, left_ms, NULL);
    if (status == WARREN_EINVAL)
        tell_why(job, &what, message, delay_ms);
    return status;
}

/* A window or a spool that stays full, a disk that takes nothing: not the message's fault. But when
 * the attempt's own time is over, it has failed. */
static bool is_passing(const struct warren_job *job, enum warren_status status)
{
    switch (status) {
    case WARREN_EFULL:
    case WARREN_ETIMEOUT:
    case WARREN_EIO:
    case WARREN_ENOMEM:
        return warren_job_time_left_ms(job) > 0;
    default:
        return false;
    }
}

static const char *why(enum warren_status status)
{
    switch (status) {
    case WARREN_EFULL:
        return "the publisher is full (its window, or its spool)";
    case WARREN_ETIMEOUT:
        return "the publisher had no room in time (its window, or its spool)";
    case WARREN_EIO:
        return "the disk of the spool failed";
    default:
        return "out of memory";
    }
}

/* Without memory only why. */
static const char *describe(struct warren_job *job, enum warren_status status, const char *exchange,
                            const char *routing_key)
{
    bool to_queue = !exchange || !exchange[0];
    const char *key = routing_key ? routing_key : "";
    char text[WHERE_SIZE];
    const char *kept;
    int len;

    if (to_queue)
        len = snprintf(text, sizeof text, "cannot publish to queue '%s': %s", key, why(status));
    else
        len =
            snprintf(text, sizeof text, "cannot publish to exchange '%s' with routing key '%s': %s",
                     exchange, key, why(status));
    kept = arena_text(&job->arena, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
    return kept ? kept : why(status);
}

static enum warren_status publish(struct warren_job *job, const char *exchange,
                                  const char *routing_key, const struct warren_message *message,
                                  int64_t delay_ms, bool optional)
{
    enum warren_status status =
        publish_now(job, exchange, routing_key, message, delay_ms, optional);

    if (!job->untaken && is_passing(job, status))
        job->untaken = describe(job, status, exchange, routing_key);
    return status;
}

void job_forgive_unpublished(struct warren_job *job)
{
    if (!job->untaken || job->forgiven)
        return;
    if (!job->error[0])
        warren_job_fail(job, "%s", job->untaken);
    warren_job_forgive(job);
    if (job->retry_delay_ms < 0)
        warren_job_retry_after(job, settlement_again_ms(job->attempt));
    if (job->published) { /* the settlement decides, and reports, when the receipts of the rest have
                             come */
        settlement_not_taken(job->settlement, job->error);
        return;
    }
    warren_job_log(job, WARREN_LOG_WARN,
                   "message is tried again: the publisher could not take what it published: %s",
                   job->error);
}

enum warren_status warren_job_publish(struct warren_job *job, const char *exchange,
                                      const char *routing_key, const struct warren_message *message)
{
    return publish(job, exchange, routing_key, message, 0, false);
}

enum warren_status warren_job_publish_after(struct warren_job *job, const char *exchange,
                                            const char *routing_key,
                                            const struct warren_message *message, int64_t delay_ms)
{
    return publish(job, exchange, routing_key, message, delay_ms, false);
}

enum warren_status warren_job_reply(struct warren_job *job, const struct warren_message *message)
{
    const struct warren_properties *request = warren_job_properties(job);
    struct warren_message reply;

    if (!message)
        return publish(job, "", "", NULL, 0, true);
    reply = *message;
    if (arena_bytes(&job->arena, request->reply_to).len == 0)
        return WARREN_ENOTFOUND;
    if (!reply.properties.correlation_id)
        reply.properties.correlation_id = request->correlation_id;
    if (job->on_reply)
        job->on_reply(message, job->on_reply_user);
    return publish(job, "", request->reply_to, &reply, 0, true);
}
