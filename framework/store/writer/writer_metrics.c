/* writer_metrics.c - see writer_metrics.h. */
#include "store/writer/writer_metrics.h"

#include "store/writer/writer_private.h"

/* ---- the writer ---- */

static void put_writer(void *user)
{
    struct writer *w = user;
    struct writer_stats stats;

    writer_stats(w, &stats);
    metric_put(w->metrics.commits, (double)stats.commits);
    metric_put(w->metrics.failures, (double)stats.failures);
    metric_put(w->metrics.log_bytes, (double)database_log_bytes(w->own.database));
}

void writer_metrics_init(struct writer *w)
{
    struct writer_metrics *m = &w->metrics;
    const char *path = database_path(w->own.database);

    m->commits = metric_series(METRIC_COMMITS, path);
    m->failures = metric_series(METRIC_STORE_FAILURES, path);
    m->group_size = metric_series(METRIC_GROUP_SIZE, path);
    m->commit_time = metric_series(METRIC_COMMIT_TIME, path);
    m->log_bytes = metric_series(METRIC_WAL_BYTES, path);
    m->log_large = metric_series(METRIC_WAL_LARGE, path);
    m->collector = (struct metric_collector){.collect = put_writer, .user = w, .lasts = true};
    metrics_collect_add(&m->collector);
}

void writer_metrics_done(struct writer *w)
{
    struct writer_metrics *m = &w->metrics;

    metrics_collect_remove(&m->collector);
    metric_release_all(m, offsetof(struct writer_metrics, collector));
}

void writer_metrics_committed(struct writer *w, size_t works, int64_t begun_ns)
{
    warren_observe(w->metrics.group_size, (double)works);
    warren_observe(w->metrics.commit_time,
                   (double)(clock_now_ns(clock_monotonic()) - begun_ns) * 1e-9);
}

void writer_metrics_log_large(struct writer *w)
{
    warren_count(w->metrics.log_large, 1);
}

/* ---- the key writer ---- */

static void put_keys(void *user)
{
    struct key_writer_metrics *m = user;
    struct idempotency_counts counts;

    idempotency_count(m->store, &counts);
    metric_put(m->keys, (double)counts.keys);
    metric_put(m->keys_max, (double)counts.keys_max);
    metric_put(m->claims, (double)counts.claims);
    metric_put(m->forgotten, (double)counts.forgotten);
}

void key_writer_metrics_init(struct key_writer_metrics *m, struct idempotency_store *store,
                             const char *path)
{
    m->store = store;
    m->keys = metric_series(METRIC_KEYS, path);
    m->keys_max = metric_series(METRIC_MAX_KEYS, path);
    m->claims = metric_series(METRIC_CLAIMS, path);
    m->forgotten = metric_series(METRIC_KEYS_FORGOTTEN, path);
    m->collector = (struct metric_collector){.collect = put_keys, .user = m, .lasts = true};
    metrics_collect_add(&m->collector);
}

void key_writer_metrics_done(struct key_writer_metrics *m)
{
    metrics_collect_remove(&m->collector);
    metric_release_all(m, offsetof(struct key_writer_metrics, collector));
}
