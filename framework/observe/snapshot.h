/* snapshot.h - all that the page shows of a worker at one moment, as JSON: what the registry of
 * metrics has, as it is there, and what health.h says. The page makes rates of two of them.
 *
 *   {"time_ms", "version", "pid", "phase", "may_change", "health": [live, ready],
 *    "dead_letters": [{"queue", "dead_queue"}],
 *    "families": {NAME: {"labels": [...], "bounds_us": [...], "series": [[VALUE...], NUMBER]}}}
 *
 * Of a histogram a series is [[VALUE...], sum in us, [counts]], without the zeros at its end; of a
 * family with a third label the zeros are left out.
 * Thread: the listener's. Elsewhere: who gets it (admin_page.c).
 */
#ifndef WARREN_OBSERVE_SNAPSHOT_H
#define WARREN_OBSERVE_SNAPSHOT_H

#include "config/config.h"
#include "consume/job/failure_groups.h"
#include "observe/health.h"

struct snapshot_source {
    struct health *health;
    const struct config *config;
    bool may_change; /* who knows the token may change something */
};

void snapshot_write(const struct snapshot_source *source, int64_t now_ms, struct json_writer *json);

/** The dead-letter queues of the configuration: {"queues": [{"queue", "sources", "messages"}]}; how
 * many there are is null where the broker has not said. */
void snapshot_dead_letters(const struct config *config, struct json_writer *json);

/** What failed lately, the latest first: {"groups": [...], "forgotten"}; @groups NULL: nothing. */
void snapshot_failures(struct failure_groups *groups, struct json_writer *json);

#endif
