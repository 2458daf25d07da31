/* dlq_replay_report.h - what a replay did, for people and for scripts.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_REPLAY_REPORT_H
#define WARREN_COMMAND_DLQ_REPLAY_REPORT_H

#include "command/dlq_change/dlq_replay.h"
#include "command/dlq_change/dlq_targets.h"

/** Print the summary on stdout, unless the job is quiet; one JSON object if it asks for that. */
void dlq_replay_report(const struct dlq_replay_job *job, const struct dlq_replay_tally *tally,
                       const struct dlq_targets *targets, double seconds);

/** Say what calls for it on stderr. @return the exit status of a replay that came to its end */
enum cli_status dlq_replay_status(const struct dlq_replay_job *job,
                                  const struct dlq_replay_tally *tally);

#endif
