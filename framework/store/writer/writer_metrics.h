/* writer_metrics.h - what the writer of a database file and its key writer of keys count, as series
 * with the file's path. Owner: struct writer and struct key_writer embed one each. Elsewhere: the
 * registry (base/metrics.h).
 */
#ifndef WARREN_STORE_WRITER_METRICS_H
#define WARREN_STORE_WRITER_METRICS_H

#include "base/metrics.h"
#include "store/idempotency/idempotency.h"

struct writer;

struct writer_metrics {
    struct warren_series *commits;
    struct warren_series *failures;
    struct warren_series *group_size;
    struct warren_series *commit_time;
    struct warren_series *log_bytes;
    struct warren_series *log_large;
    struct metric_collector collector; /* behind the series */
};

/** Its file is open, its thread is not started. */
void writer_metrics_init(struct writer *writer);
/** Before the file is closed. A zeroed one is fine. */
void writer_metrics_done(struct writer *writer);
/** @works were committed together, which took from @begun_ns until now. Thread: who committed. */
void writer_metrics_committed(struct writer *writer, size_t works, int64_t begun_ns);

/** The log beside the file is above its bound. Thread: the writer's. */
void writer_metrics_log_large(struct writer *writer);

struct key_writer_metrics {
    struct warren_series *keys;
    struct warren_series *keys_max;
    struct warren_series *claims;
    struct warren_series *forgotten;
    struct metric_collector collector; /* behind the series */
    struct idempotency_store *store;
};

/** @store outlives it. @path is borrowed for the call. */
void key_writer_metrics_init(struct key_writer_metrics *metrics, struct idempotency_store *store,
                             const char *path);
/** A zeroed one is fine. */
void key_writer_metrics_done(struct key_writer_metrics *metrics);

#endif
