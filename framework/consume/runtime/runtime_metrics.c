/* runtime_metrics.c - what a runtime has counted, as series, when somebody reads. Those of each
 * subscription: subscription_metrics.c. */
#include "consume/runtime/runtime_private.h"

static void put(void *user)
{
    struct runtime *r = user;
    const struct runtime_metrics *m = &r->metrics;
    size_t bytes = 0;

    pthread_mutex_lock(&r->list_lock);
    for (size_t i = 0; i < r->subscription_count; i++) {
        subscription_metrics_put(r->subscriptions[i]);
        bytes += consumer_bytes(r->subscriptions[i]->consumer);
    }
    pthread_mutex_unlock(&r->list_lock);
    metric_put(m->bytes, (double)bytes);
    metric_put(m->bytes_max, (double)r->memory_max);
    metric_put(m->full, (double)counter_get(&r->memory_fills));
    metric_put(m->connects, (double)atomic_load(&r->connects));
    metric_put(m->losses, (double)atomic_load(&r->losses));
    metric_put(m->connected, atomic_load(&r->connected) ? 1 : 0);
}

void runtime_metrics_init(struct runtime *r)
{
    struct runtime_metrics *m = &r->metrics;

    m->bytes = metric_series(METRIC_DELIVERIES_BYTES);
    m->bytes_max = metric_series(METRIC_DELIVERIES_MAX_BYTES);
    m->full = metric_series(METRIC_DELIVERIES_FULL);
    m->connects = metric_series(METRIC_CONSUMER_CONNECTS);
    m->losses = metric_series(METRIC_CONSUMER_LOSSES);
    m->connected = metric_series(METRIC_CONSUMER_CONNECTED);
    m->collector = (struct metric_collector){.collect = put, .user = r, .lasts = true};
    metrics_collect_add(&m->collector);
}

void runtime_metrics_done(struct runtime *r)
{
    struct runtime_metrics *m = &r->metrics;

    metrics_collect_remove(&m->collector);
    metric_release(m->bytes);
    metric_release(m->bytes_max);
    metric_release(m->full);
    metric_release(m->connects);
    metric_release(m->losses);
    metric_release(m->connected);
}
