/* subscription_metrics.c - what a subscription has counted, as series, when somebody reads. */
#include "consume/runtime/runtime_private.h"

static const char *const closed[GATHER_CLOSED] = {"size", "bytes", "wait"};
static const char *const states[SUBSCRIPTION_STATES] = {"running", "queued", "held"};

void subscription_metrics_init(struct subscription *s)
{
    struct subscription_metrics *m = &s->metrics;
    const char *queue = s->source.queue;
    const char *handler = s->source.handler;

    m->received = metric_series(METRIC_RECEIVED, queue, handler);
    m->redelivered = metric_series(METRIC_REDELIVERED, queue, handler);
    for (int i = 0; i <= WARREN_REQUEUE; i++)
        m->settled[i] = metric_series(METRIC_SETTLED, queue, handler,
                                      warren_outcome_name((enum warren_outcome)i));
    m->retries[0] = metric_series(METRIC_RETRIES, queue, handler, "memory");
    m->retries[1] = metric_series(METRIC_RETRIES, queue, handler, "broker");
    m->stale = metric_series(METRIC_STALE, queue, handler);
    m->unfit = metric_series(METRIC_UNFIT, queue, handler);
    m->copies_failed = metric_series(METRIC_COPIES_FAILED, queue, handler);
    for (int i = 0; i < SUBSCRIPTION_STATES; i++)
        m->in_flight[i] = metric_series(METRIC_IN_FLIGHT, queue, handler, states[i]);
    m->prefetch = metric_series(METRIC_PREFETCH, queue, handler);
    m->workers = metric_series(METRIC_WORKERS, queue, handler);
    m->consuming = metric_series(METRIC_CONSUMING, queue, handler);
    m->ack_frames = metric_series(METRIC_ACK_FRAMES, queue, handler);
    m->byte_pauses = metric_series(METRIC_BYTE_PAUSES, queue, handler);
    m->recoveries = metric_series(METRIC_RECOVERIES, queue, handler);
    m->unsettled_bytes = metric_series(METRIC_UNSETTLED_BYTES, queue, handler);
    m->prefetch_bytes = metric_series(METRIC_PREFETCH_BYTES, queue, handler);
    m->prefetch_reached = metric_series(METRIC_PREFETCH_REACHED, queue, handler);
    m->unconfirmed = metric_series(METRIC_UNCONFIRMED, queue, handler);
    m->retries_held = metric_series(METRIC_RETRIES_HELD, queue, handler);
    m->retries_held_max = metric_series(METRIC_RETRIES_MAX_HELD, queue, handler);
    m->retries_full = metric_series(METRIC_RETRIES_FULL, queue, handler);
    m->copies_owed = metric_series(METRIC_COPIES_OWED, queue, handler);
    for (int i = 0; i < GATHER_CLOSED; i++)
        m->batches[i] = metric_series(METRIC_BATCHES, queue, handler, closed[i]);
    m->batch_messages = metric_series(METRIC_BATCH_MESSAGES, queue, handler);
}

void subscription_metrics_done(struct subscription *s)
{
    struct warren_series **series = (struct warren_series **)&s->metrics;

    for (size_t i = 0; i < sizeof s->metrics / sizeof *series; i++)
        metric_release(series[i]);
    s->metrics = (struct subscription_metrics){0};
}

static void put_consumer(const struct subscription *s)
{
    const struct subscription_metrics *m = &s->metrics;
    struct consumer_stats stats;

    consumer_stats(s->consumer, &stats);
    metric_put(m->ack_frames, (double)stats.ack_frames);
    metric_put(m->byte_pauses, (double)stats.byte_pauses);
    metric_put(m->recoveries, (double)stats.recoveries);
    metric_put(m->unsettled_bytes, (double)consumer_bytes(s->consumer));
    metric_put(m->prefetch_bytes, (double)s->prefetch_bytes);
}

static void put_held(const struct subscription *s)
{
    const struct subscription_metrics *m = &s->metrics;

    metric_put(m->retries_held, atomic_load(&s->admission.reserved));
    metric_put(m->retries_held_max, s->admission.reserved_max);
    metric_put(m->retries_full, (double)atomic_load(&s->admission.full));
    metric_put(m->copies_owed, atomic_load(&s->copies_owed));
}

void subscription_metrics_put(struct subscription *s)
{
    struct subscription_metrics *m = &s->metrics;
    struct runtime_stats stats = {.consuming = true};

    subscription_stats(s, &stats);
    metric_put(m->received, (double)stats.counts[COUNT_DELIVERED]);
    metric_put(m->redelivered, (double)stats.counts[COUNT_REDELIVERED]);
    for (int i = 0; i <= WARREN_REQUEUE; i++)
        metric_put(m->settled[i], (double)stats.counts[COUNT_SETTLED + i]);
    metric_put(m->retries[0], (double)stats.counts[COUNT_RETRIED]);
    metric_put(m->retries[1], (double)stats.counts[COUNT_RELAYED]);
    metric_put(m->stale, (double)stats.counts[COUNT_STALE]);
    metric_put(m->unfit, (double)stats.counts[COUNT_UNFIT]);
    metric_put(m->copies_failed, (double)stats.counts[COUNT_UNRELAYED]);
    metric_put(m->in_flight[0], stats.running);
    metric_put(m->in_flight[1], stats.queued);
    metric_put(m->in_flight[2], stats.held);
    metric_put(m->unconfirmed, (double)stats.counts[COUNT_UNCONFIRMED]);
    metric_put(m->prefetch, s->prefetch);
    metric_put(m->prefetch_reached, (double)counter_get(&s->prefetch_reached));
    metric_put(m->workers, s->concurrency);
    metric_put(m->consuming, stats.consuming ? 1 : 0);
    put_consumer(s);
    put_held(s);
    for (int i = 0; i < GATHER_CLOSED; i++)
        metric_put(m->batches[i], (double)counter_get(&s->gather.closed[i]));
    metric_put(m->batch_messages, (double)counter_get(&s->gather.messages));
    subscription_order_put(s);
    subscription_pool_put(s);
    subscription_fair_put(s);
    subscription_lane_put(s);
    shards_put(s);
}
