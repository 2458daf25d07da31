/* dlq_replay.h - bring dead letters back to the queues that they came from.
 *
 *   delivery > filter > waiting > (target there, window, rate) > publish > confirm > ack > proven
 *
 * A message is acked only after the broker confirmed its copy, so at every moment it is in at least
 * one of the two queues; in both are at most `window` messages: those published whose ack is not
 * proven to have arrived.
 * Thread: main. Elsewhere: the options (command_dlq_replay.c).
 */
#ifndef WARREN_COMMAND_DLQ_REPLAY_H
#define WARREN_COMMAND_DLQ_REPLAY_H

#include "command/cli/cli.h"
#include "command/dlq/dlq_filter.h"
#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_scan.h"
#include "command/dump/dump.h"

#define DLQ_WINDOW_DEFAULT 100

/** Half of the consumer_timeout that RabbitMQ has by default. */
#define DLQ_HOLD_DEFAULT_MS (INT64_C(15) * 60 * 1000)

struct dlq_replay_job {
    struct dlq_queue queue;
    const char *to; /* NULL: where each message came from */
    struct dlq_filter filter;
    uint64_t max; /* messages; 0: all */
    double rate;  /* messages a second; 0: no limit */
    uint32_t window;
    uint32_t limit; /* messages that are left behind; see dlq_scan.h */
    bool limit_is_given;
    int64_t hold_ms; /* messages are held for at most so long, then given back and taken anew */
    bool dry_run;    /* only count, and look the targets up */
    const struct dump_message *replacement; /* published in place of the one that matches */
    bool json;
    bool quiet;
};

struct dlq_replay_tally {
    struct dlq_scan_result scan;
    uint64_t matched;
    uint64_t replayed; /* confirmed; of a dry run: would be tried */
    uint64_t failed;   /* not confirmed: they stay */
    uint64_t doubtful; /* confirmed but not acked, or sent without an answer: maybe in both */
};

/** Do it, and print what was done. @config is borrowed. */
enum cli_status dlq_replay_run(struct cli *cli, const struct config *config,
                               const struct dlq_replay_job *job);

#endif
