/* publisher_metrics.h - what a publisher counts, as series. Totals that it counts anyway are put
 * when somebody reads; how long confirms take is observed on the sender's thread. Publishers of one
 * name are added up. Owner: struct warren_publisher embeds one. Elsewhere: the registry
 * (base/metrics.h).
 */
#ifndef WARREN_PUBLISH_PUBLISHER_METRICS_H
#define WARREN_PUBLISH_PUBLISHER_METRICS_H

#include <warren/publisher.h>

#include "base/list.h"
#include "base/metrics.h"

/** With the label `publisher` alone: of every publisher, and of one with a spool. */
#define PUBLISHER_SERIES 19
#define SPOOL_SERIES     7

struct publisher_metrics {
    struct warren_series *confirm_time;
    struct warren_series *blocked_time;
    struct warren_series *results[WARREN_EXPIRED + 1];
    struct warren_series *plain[PUBLISHER_SERIES];
    struct warren_series *spool[SPOOL_SERIES];
    struct warren_series *spool_messages[2]; /* waiting, refused */
    struct metric_collector collector;       /* behind the series */
};

/** Those of @publisher, which has a spool by now, or none; before its thread. @name is borrowed for
 * the call. */
void publisher_metrics_init(struct warren_publisher *publisher, const char *name);
/** Before anything that they read is taken away. A zeroed one is fine. */
void publisher_metrics_done(struct warren_publisher *publisher);

/** Of @records, which have ended, those that were confirmed have been so just now. Thread: the
 * sender's. */
void publisher_metrics_ended(struct warren_publisher *publisher, struct list *records);

#endif
