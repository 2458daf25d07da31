/* chain.c - see chain.h. */
#include "consume/job/chain.h"

#include <stdlib.h>
#include <string.h>

#include "consume/job/job.h"

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
    enum warren_outcome outcome = known(job, chain->handler->handle(job, chain->state));

    (void)next;
    if (outcome == WARREN_RETRY)
        job_forgive_unpublished(job);
    return outcome;
}

enum warren_status chain_init(struct chain *chain, const struct warren_link *links, size_t count,
                              const struct warren_handler *handler, void *state)
{
    chain->links = calloc(count + 1, sizeof chain->links[0]);
    if (!chain->links)
        return WARREN_ENOMEM;
    if (count > 0)
        memcpy(chain->links, links, count * sizeof links[0]);
    chain->links[count].call = call_handler;
    chain->links[count].state = chain;
    chain->handler = handler;
    chain->state = state;
    return WARREN_OK;
}

void chain_done(struct chain *chain)
{
    free(chain->links);
    chain->links = NULL;
}

enum warren_outcome chain_run(const struct chain *chain, struct warren_job *job)
{
    return known(job, warren_next(job, chain->links));
}
