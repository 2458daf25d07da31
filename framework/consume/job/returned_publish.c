/* returned_publish.c - see returned_publish.h. */
#include "consume/job/returned_publish.h"

static enum warren_outcome has_failed(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_RETRY;
}

enum warren_status returned_publish_init(struct chain *judges, const struct chain_member *members,
                                         size_t count)
{
    static const struct warren_handler failing = {.name = "returned publish", .handle = has_failed};

    return chain_init(judges, members, count, true, &failing, NULL);
}

enum warren_outcome returned_publish_run(const struct chain *judges, struct warren_job *job)
{
    struct attempt *attempt = job->attempt;
    enum warren_outcome outcome;

    attempt->publish_returned = false;
    job->late = true;
    warren_job_fail(job, "%s", attempt->unpublished ? attempt->unpublished : "out of memory");
    outcome = chain_run(judges, job);
    if (outcome == WARREN_RETRY && job->retry_delay_ms < 0)
        warren_job_retry_after(job, RETURNED_PUBLISH_AGAIN_MS);
    return outcome;
}
