/* worker_report.h - what the operator reads: the runtime's and the publisher's events as log lines.
 * Thread: the runtime's and the publisher's for the events, main for the rest.
 */
#ifndef WARREN_APP_WORKER_REPORT_H
#define WARREN_APP_WORKER_REPORT_H

#include "consume/runtime/runtime.h"
#include "publish/publisher/publisher.h"

/** All events but `stopped` and `gap`. */
void worker_report_events(struct runtime_events *events);
/** What happens to the publisher's connection. */
extern const struct publisher_observer worker_report_publisher;

/** What waits in the publisher's spool, if something does. */
void worker_report_spool(struct warren_publisher *publisher);

/** A stream has a gap: messages that were to come were removed. @stops: and so the worker ends. */
void worker_report_gap(const char *queue, uint64_t expected, uint64_t offset, bool stops);

/** The worker is about to connect. */
void worker_report_start(const struct config *config);
/** Why the worker drains, such as "SIGTERM". */
void worker_report_stop(const char *reason, int64_t timeout_ms);
/** The end, with all counts. */
void worker_report_end(const struct runtime_stats *stats, enum warren_status status,
                       uint32_t unfinished, int64_t lifetime_ms);

#endif
