/* worker_metrics.h - series of the process that has a worker: what it is made of, and what the
 * kernel knows of it.
 * Thread: main. Owner: struct warren_worker embeds one. Elsewhere: the registry (base/metrics.h).
 */
#ifndef WARREN_APP_WORKER_METRICS_H
#define WARREN_APP_WORKER_METRICS_H

#include "app/reload_report.h"
#include "base/metrics.h"

struct worker_metrics {
    struct warren_series *build_info;
    struct warren_series *reloads[RELOAD_RESULTS];
    struct warren_series *reloaded_at;
    struct warren_series *generation;
    struct warren_series *restart_needed;
};

void worker_metrics_init(struct worker_metrics *metrics);
/** The configuration was read again. */
void worker_metrics_reloaded(struct worker_metrics *metrics, const struct reload_report *report);
/** A zeroed one is fine. */
void worker_metrics_done(struct worker_metrics *metrics);

#endif
