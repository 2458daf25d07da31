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

#include "command/dlq/command_dlq.h"
#include "command/dump/dump.h"

#define DLQ_WINDOW_DEFAULT 100

/** Half of the consumer_timeout that RabbitMQ has by default. */
#define DLQ_HOLD_DEFAULT_MS (INT64_C(15) * 60 * 1000)

struct dlq_replay_job {
    const struct dlq_request *request;
    const char *to; /* NULL: where each message came from */
    double rate;    /* messages a second; 0: no limit */
    uint64_t window;
    int64_t hold_ms; /* longest time that messages are held before they are given back */
    bool dry_run;    /* only count, and look the targets up */
    const struct dump_message *replacement; /* published in place of the one that matches */
};

struct dlq_replay_tally {
    struct dlq_scan_result scan;
    uint64_t matched;
    uint64_t replayed; /* confirmed; of a dry run: would be tried */
    uint64_t failed;   /* not confirmed: they stay */
    uint64_t doubtful; /* confirmed but not acked, or sent without an answer: maybe in both */
};

/** Do it, and print what was done. */
enum cli_status dlq_replay_run(const struct dlq_replay_job *job);

#endif
