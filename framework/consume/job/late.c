/* late.c - see late.h. */
#include "consume/job/late.h"

static enum warren_outcome has_failed(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_RETRY;
}

enum warren_status late_init(struct chain *late, const struct chain_member *members, size_t count)
{
    static const struct warren_handler in_vain = {.name = "late", .handle = has_failed};

    return chain_init(late, members, count, true, &in_vain, NULL);
}

enum warren_outcome late_run(const struct chain *late, struct warren_job *job)
{
    struct attempt *attempt = job->attempt;
    enum warren_outcome outcome;

    attempt->late = false;
    warren_job_fail(job, "%s", attempt->unpublished ? attempt->unpublished : "out of memory");
    outcome = chain_run(late, job);
    if (outcome == WARREN_RETRY && job->retry_delay_ms < 0)
        warren_job_retry_after(job, LATE_AGAIN_MS);
    return outcome;
}
