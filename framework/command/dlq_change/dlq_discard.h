/* dlq_discard.h - take dead letters off their queue for good.
 * Thread: main. Elsewhere: asking whether that is meant (command_dlq_discard.c).
 */
#ifndef WARREN_COMMAND_DLQ_DISCARD_H
#define WARREN_COMMAND_DLQ_DISCARD_H

#include "command/cli/cli.h"
#include "command/dlq/dlq_filter.h"
#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_scan.h"

struct dlq_discard_job {
    const struct dlq_queue *queue;
    const struct dlq_filter *filter;
    uint64_t max;   /* messages; 0: all */
    uint32_t limit; /* messages that are left behind; see dlq_scan.h */
    bool json;
    bool quiet;
};

/** Do it, and print what was done. @config is borrowed. */
enum cli_status dlq_discard(const struct cli *cli, const struct config *config,
                            const struct dlq_discard_job *job);

#endif
