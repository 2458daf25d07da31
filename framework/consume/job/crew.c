/* crew.c - see crew.h. */
#include "consume/job/crew.h"

#include <stdlib.h>

#include "consume/job/chain.h"
#include "consume/job/job_span.h"

static enum warren_status make_jobs(struct crew *crew, const struct job_source *source)
{
    crew->jobs = calloc(crew->concurrency, sizeof(struct warren_job *));
    if (!crew->jobs)
        return WARREN_ENOMEM;
    for (uint32_t i = 0; i < crew->concurrency; i++) {
        crew->jobs[i] = job_new(source);
        if (!crew->jobs[i])
            return WARREN_ENOMEM;
        crew->jobs[i]->worker = guard_worker(&crew->guard, i);
    }
    return WARREN_OK;
}

enum warren_status crew_init(struct crew *crew, const struct job_source *source,
                             const struct chain_member *members, size_t count,
                             const struct guard_options *guard)
{
    enum warren_status status =
        chain_init(&crew->chain, members, count, false, source->definition, source->state);

    crew->concurrency = guard->concurrency;
    meter_init(&crew->meter, source->queue, source->handler);
    if (status == WARREN_OK)
        status = returned_publish_init(&crew->returned_publish, members, count);
    if (status == WARREN_OK)
        status = guard_init(&crew->guard, guard);
    return status == WARREN_OK ? make_jobs(crew, source) : status;
}

void crew_done(struct crew *crew)
{
    for (uint32_t i = 0; crew->jobs && i < crew->concurrency; i++)
        job_free(crew->jobs[i]);
    free(crew->jobs);
    chain_done(&crew->chain);
    chain_done(&crew->returned_publish);
    meter_done(&crew->meter);
}

bool crew_run(struct crew *crew, uint32_t worker, struct attempt *attempt, int64_t begun_ns)
{
    struct warren_job *job = crew->jobs[worker];
    enum warren_outcome outcome;

    meter_begun(&crew->meter, attempt, begun_ns);
    job_begin(job, attempt, begun_ns);
    if (attempt->publish_returned) {
        outcome = returned_publish_run(&crew->returned_publish, job);
        guard_judged(&crew->guard, job, outcome);
    } else {
        outcome = guard_run(&crew->guard, worker, job, &crew->chain);
        job->has_run = true;
    }
    meter_ended(&crew->meter, job, outcome);
    if (job->traced)
        job_span_end(job, outcome, meter_reason(job, outcome));
    return job_end(job, outcome);
}

/* What was not run, for its channel is gone, took no time; nor does an attempt that had failed
 * after its end take any more. */
void crew_ran(struct crew *crew, uint32_t worker, int64_t took_ns)
{
    if (crew->jobs[worker]->has_run)
        meter_ran(&crew->meter, took_ns);
    crew->jobs[worker]->has_run = false;
}

int64_t crew_overdue_ms(const struct crew *crew, int64_t now_ms)
{
    int64_t longest_ms = 0;

    for (uint32_t i = 0; i < crew->concurrency; i++) {
        int64_t limit_ms = atomic_load_explicit(&crew->jobs[i]->limit_ms, memory_order_relaxed);

        if (limit_ms < now_ms && now_ms - limit_ms > longest_ms)
            longest_ms = now_ms - limit_ms;
    }
    return longest_ms;
}

void crew_deadline_moved(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->concurrency; i++)
        job_deadline_moved(crew->jobs[i]);
}
