/* worker_metrics.h - series of the process that has a worker: what it is made of, and what the
 * kernel knows of it.
 * Thread: main. Owner: struct warren_worker embeds one. Elsewhere: the registry (base/metrics.h).
 */
#ifndef WARREN_APP_WORKER_METRICS_H
#define WARREN_APP_WORKER_METRICS_H

#include "base/metrics.h"

struct worker_metrics {
    struct warren_series *build_info;
};

void worker_metrics_init(struct worker_metrics *metrics);
/** A zeroed one is fine. */
void worker_metrics_done(struct worker_metrics *metrics);

#endif
