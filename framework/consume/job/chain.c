/* chain.c - see chain.h. */
#include "consume/job/chain.h"

#include <stdlib.h>

#include "consume/job/job_batch.h"

/* A plugin is C: it may return anything. Checked here, so that no middleware has to. */
static enum warren_outcome known(struct warren_job *job, enum warren_outcome outcome)
{
    if ((unsigned)outcome <= WARREN_REQUEUE)
        return outcome;
    warren_job_fail(job, "the handler returned %d, which is no outcome", (int)outcome);
    return WARREN_RETRY;
}

static enum warren_outcome call_handler(struct warren_job *job, const struct warren_link *next,
                                        void *state)
{
    const struct chain *chain = state;
    const struct warren_group *before = job->groups.first;
    enum warren_outcome outcome = known(job, chain->handler->handle(job, chain->state));

    (void)next;
    job_stays_here(job);
    if (job->groups.first != before)
        outcome = job_groups_ended(job, before, outcome, true);
    if (outcome == WARREN_RETRY)
        job_forgive_unpublished(job);
    return outcome;
}

enum warren_status chain_init(struct chain *chain, const struct chain_member *members, size_t count,
                              bool late, const struct warren_handler *handler, void *state)
{
    struct warren_link *link = calloc(count + 1, sizeof *link);
    unsigned stages = 0;

    chain->links = link;
    if (!link)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct warren_middleware *middleware = members[i].middleware;

        stages += middleware->before != NULL;
        if (middleware->call && (middleware->late_failures || !late))
            *link++ = (struct warren_link){.call = middleware->call,
                                           .state = members[i].state,
                                           .place = middleware->before ? stages : 0};
    }
    *link = (struct warren_link){.call = handler->handle ? call_handler : job_batch_call,
                                 .state = chain};
    chain->last = link;
    chain->handler = handler;
    chain->state = state;
    return WARREN_OK;
}

void chain_take_batches(struct chain *chain)
{
    if (chain->handler->handle_batch)
        chain->last->call = job_batch_call;
}

void chain_done(struct chain *chain)
{
    free(chain->links);
    chain->links = NULL;
}

enum warren_outcome chain_run(const struct chain *chain, struct warren_job *job)
{
    enum warren_outcome outcome;

    job->runs = true;
    if (job->attempt->weighs != WEIGHS_NOT)
        job_hold_uses(job);
    outcome = known(job, warren_next(job, chain->links));
    job_stays_here(job); /* it may have come by a panic */
    if (job->groups.first)
        outcome = job_groups_ended(job, NULL, outcome, false);
    if (job->hold.any)
        job_give_back(job);
    job->runs = false;
    return outcome;
}

/* ---- a returned publish ---- */

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
