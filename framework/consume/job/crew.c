/* crew.c - see crew.h. */
#include "consume/job/crew.h"

#include "consume/job/job_span.h"

static struct warren_job *job_of(const struct crew *crew, uint32_t worker)
{
    return roster_at(&crew->jobs, worker);
}

static enum warren_status make_jobs(struct crew *crew, uint32_t concurrency)
{
    if (!roster_reserve(&crew->jobs, concurrency))
        return WARREN_ENOMEM;
    while (crew->concurrency < concurrency) {
        struct warren_job *job = job_new(crew->source);

        if (!job)
            return WARREN_ENOMEM;
        job->worker = guard_worker(&crew->guard, crew->concurrency);
        roster_put(&crew->jobs, crew->concurrency++, job);
    }
    return WARREN_OK;
}

enum warren_status crew_init(struct crew *crew, const struct job_source *source,
                             const struct guard_options *guard)
{
    enum warren_status status = guard_init(&crew->guard, guard);

    crew->source = source;
    meter_init(&crew->meter, source->queue, source->handler);
    return status == WARREN_OK ? make_jobs(crew, guard->concurrency) : status;
}

enum warren_status crew_grow(struct crew *crew, uint32_t concurrency, bool ahead)
{
    enum warren_status status = guard_grow(&crew->guard, concurrency, ahead);

    return status == WARREN_OK ? make_jobs(crew, concurrency) : status;
}

void crew_done(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->concurrency; i++)
        job_free(job_of(crew, i));
    roster_done(&crew->jobs);
    guard_done(&crew->guard);
    meter_done(&crew->meter);
}

/* A sentence in the log, for the chain does not see it. */
static enum warren_outcome refuse(struct warren_job *job)
{
    struct log_line line;

    warren_job_fail(job, "%s", job->attempt->refused);
    if (log_enabled(WARREN_LOG_WARN)) {
        log_begin(&line, WARREN_LOG_WARN, "message is rejected without being handled");
        job_log_names(job, &line);
        log_text(&line, "error", warren_job_error(job));
        log_end(&line);
    }
    return WARREN_REJECT;
}

bool crew_run(struct crew *crew, uint32_t worker, struct attempt *attempt, int64_t begun_ns)
{
    const struct edition *edition = attempt->edition;
    struct warren_job *job = job_of(crew, worker);
    enum warren_outcome outcome;

    meter_begun(&crew->meter, attempt, begun_ns);
    job_begin(job, attempt, begun_ns);
    if (attempt->publish_returned) {
        outcome = returned_publish_run(&edition->returned_publish, job);
        guard_judged(&crew->guard, job, outcome);
    } else if (attempt->refused) {
        outcome = refuse(job);
    } else {
        outcome = guard_run(&crew->guard, worker, job, &edition->chain);
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
    struct warren_job *job = job_of(crew, worker);

    if (job->has_run)
        meter_ran(&crew->meter, took_ns);
    job->has_run = false;
}

int64_t crew_overdue_ms(const struct crew *crew, int64_t now_ms)
{
    int64_t longest_ms = 0;

    for (uint32_t i = 0; i < crew->concurrency; i++) {
        int64_t limit_ms = atomic_load_explicit(&job_of(crew, i)->limit_ms, memory_order_relaxed);

        if (limit_ms < now_ms && now_ms - limit_ms > longest_ms)
            longest_ms = now_ms - limit_ms;
    }
    return longest_ms;
}

void crew_give_back_lost(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->concurrency; i++) {
        struct warren_job *job = job_of(crew, i);

        if (job->worker && flight_is_lost(job->worker))
            semaphores_lose(crew->source->semaphores, &job->hold);
    }
}

void crew_deadline_moved(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->concurrency; i++)
        job_deadline_moved(job_of(crew, i));
}
