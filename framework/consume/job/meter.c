/* meter.c - see meter.h. */
#include "consume/job/meter.h"

#include <string.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/property_spans.h"

static const char *const reasons[FAILURE_REASONS] = {
    [FAILURE_ERROR] = "error",
    [FAILURE_REJECTED] = REASON_REJECTED,
    [FAILURE_ATTEMPTS] = REASON_ATTEMPTS,
    [FAILURE_AGE] = REASON_AGE,
    [FAILURE_BREAKER] = REASON_BREAKER,
    [FAILURE_CRASH] = REASON_CRASH,
    [FAILURE_RETURNED] = "returned",
    [FAILURE_OTHER] = METRIC_OTHER,
};

void meter_init(struct meter *meter, const char *queue, const char *handler)
{
    meter->bytes = metric_series(METRIC_RECEIVED_BYTES, queue, handler);
    meter->queue_wait = metric_series(METRIC_QUEUE_WAIT, queue, handler);
    meter->handler_time = metric_series(METRIC_HANDLER_TIME, queue, handler);
    meter->critical_time = metric_series(METRIC_CRITICAL_TIME, queue, handler);
    meter->duplicates = metric_series(METRIC_DUPLICATES, queue, handler);
    for (int i = 0; i < FAILURE_REASONS; i++) {
        meter->failures[i] = metric_series(METRIC_FAILURES, queue, handler, reasons[i]);
        meter->dead_letters[i] = metric_series(METRIC_DEAD_LETTERS, queue, handler, reasons[i]);
    }
}

void meter_done(struct meter *meter)
{
    metric_release_all(meter, sizeof *meter);
}

static enum failure_reason reason_of(const struct warren_job *job, enum warren_outcome outcome)
{
    if (job->late)
        return FAILURE_RETURNED;
    if (!*job->reason)
        return outcome == WARREN_RETRY ? FAILURE_ERROR : FAILURE_REJECTED;
    for (int i = 0; i < FAILURE_OTHER; i++)
        if (strcmp(job->reason, reasons[i]) == 0)
            return (enum failure_reason)i;
    return FAILURE_OTHER;
}

static void failed(struct meter *meter, struct warren_job *job, enum failure_reason reason)
{
    const struct failure failure = {.queue = job->source->queue,
                                    .handler = job->source->handler,
                                    .reason = reasons[reason],
                                    .error = warren_job_error(job),
                                    .signal = job->signal,
                                    .backtrace = job->backtrace,
                                    .message_id = job_message_id(job),
                                    .attempt = warren_job_attempt(job),
                                    .at_ms = clock_wall_ms()};

    job->attempt->reason = (uint8_t)reason;
    warren_count(meter->failures[reason], 1);
    if (job->source->failures)
        failure_groups_add(job->source->failures, &failure);
}

const char *meter_reason(const struct warren_job *job, enum warren_outcome outcome)
{
    return reasons[reason_of(job, outcome)];
}

void meter_ended(struct meter *meter, struct warren_job *job, enum warren_outcome outcome)
{
    if (job->duplicate)
        warren_count(meter->duplicates, 1);
    if (outcome == WARREN_REJECT || (outcome == WARREN_RETRY && !job->forgiven))
        failed(meter, job, reason_of(job, outcome));
}

/* A timestamp is whatever a sender writes: what lies ahead took no time. Source: AMQP 0-9-1, basic
 * properties: seconds since 1970. */
void meter_settled(struct meter *meter, const struct attempt *attempt)
{
    double sent_s;
    double now_s;

    if (attempt->outcome == WARREN_RETRY || attempt->outcome == WARREN_REQUEUE)
        return;
    sent_s = (double)property_spans_timestamp(delivery_properties(&attempt->delivery));
    if (sent_s == 0)
        return;
    now_s = (double)clock_wall_ms() / 1000;
    warren_observe(meter->critical_time, now_s > sent_s ? now_s - sent_s : 0);
}
