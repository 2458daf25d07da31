/* publish_job.h - what `warren publish` was asked to do, and doing it.
 * Thread: main; receipts come on the publisher's. Elsewhere: reading the options
 * (command_publish.c).
 */
#ifndef WARREN_COMMAND_PUBLISH_JOB_H
#define WARREN_COMMAND_PUBLISH_JOB_H

#include <warren/publisher.h>

#include "command/cli/message_options.h"

struct publish_job {
    const struct message_options *options; /* where to, and what */
    bool from_stdin;                       /* a body a line, not that of @options */
    uint64_t count;                        /* messages; from_stdin: at most, 0 for all lines */
    int64_t delay_ms;                      /* until they are delivered; 0: at once */
    double rate;                           /* messages a second; 0: no limit */
    const char *spool; /* file in which they are kept until confirmed; NULL: none */
    bool json;
    bool quiet;
};

/** Publish, wait for every receipt, print the summary. */
enum cli_status publish_job_run(struct cli *cli, const struct publish_job *job,
                                const struct warren_publisher_options *options);

#endif
