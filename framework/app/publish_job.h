/* publish_job.h - what `warren publish` was asked to do, and doing it.
 * Thread: main; receipts come on the publisher's. Elsewhere: reading the options
 * (command_publish.c).
 */
#ifndef WARREN_APP_PUBLISH_JOB_H
#define WARREN_APP_PUBLISH_JOB_H

#include <stdatomic.h>

#include <warren/publisher.h>

#include "app/cli.h"

struct publish_job {
    struct warren_publish publish; /* its message has no body yet */
    struct warren_message message;
    bool from_stdin;          /* a body a line */
    struct warren_bytes body; /* the same each time, unless from_stdin */
    uint64_t count;           /* messages; from_stdin: at most, 0 for all lines */
    int64_t delay_ms;         /* until they are delivered; 0: at once */
    double rate;              /* messages a second; 0: no limit */
    bool json;
    bool quiet;
};

/** How many messages ended how; written by receipts. */
struct publish_tally {
    uint64_t published;
    atomic_uint_fast64_t results[WARREN_SPOOLED + 1];
    atomic_bool explained; /* the first one that was not confirmed is told with its reason */
};

/** Publish, wait for every receipt, print the summary. */
enum cli_status publish_job_run(struct cli *cli, const struct publish_job *job,
                                const struct warren_publisher_options *options);

/** The summary as one JSON object and a newline; what expired counts as timeout. */
void publish_tally_write_json(const struct publish_tally *tally, double seconds, FILE *out);
/** True if there is nothing but confirmed messages. */
bool publish_tally_is_clean(const struct publish_tally *tally);

#endif
