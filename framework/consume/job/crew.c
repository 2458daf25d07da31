/* crew.c - see crew.h. */
#include <stdlib.h>

#include "consume/job/crew_private.h"
#include "consume/job/job_span.h"

struct warren_job *crew_job(const struct crew *crew, uint32_t worker)
{
    return roster_at(&crew->jobs, worker);
}

struct crew_hand *crew_hand(const struct crew *crew, uint32_t worker)
{
    return roster_at(&crew->hands, worker);
}

/* @batch 0, 1: none is needed. */
static enum warren_status make_hands(struct crew *crew, uint32_t batch)
{
    for (uint32_t i = 0; batch > 1 && i < crew->concurrency; i++) {
        struct crew_hand *hand = crew_hand(crew, i);

        if (!hand && !(hand = crew_hand_new()))
            return WARREN_ENOMEM;
        roster_put(&crew->hands, i, hand);
    }
    return WARREN_OK;
}

static enum warren_status make_jobs(struct crew *crew, uint32_t concurrency)
{
    if (!roster_reserve(&crew->jobs, concurrency) || !roster_reserve(&crew->hands, concurrency))
        return WARREN_ENOMEM;
    while (crew->concurrency < concurrency) {
        struct warren_job *job = job_new(crew->source);

        if (!job)
            return WARREN_ENOMEM;
        job->worker = guard_worker(&crew->guard, crew->concurrency);
        roster_put(&crew->hands, crew->concurrency, NULL);
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
    if (status == WARREN_OK)
        status = make_jobs(crew, guard->concurrency);
    return status == WARREN_OK ? make_hands(crew, guard->batch) : status;
}

enum warren_status crew_grow(struct crew *crew, uint32_t concurrency, uint32_t batch, bool ahead)
{
    enum warren_status status = guard_grow(&crew->guard, concurrency, batch, ahead);

    if (status == WARREN_OK)
        status = make_jobs(crew, concurrency);
    return status == WARREN_OK ? make_hands(crew, batch) : status;
}

void crew_done(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->concurrency; i++) {
        job_free(crew_job(crew, i));
        crew_hand_free(crew_hand(crew, i));
    }
    roster_done(&crew->jobs);
    roster_done(&crew->hands);
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
    struct warren_job *job = crew_job(crew, worker);
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
    return crew_end(crew, job, outcome);
}

bool crew_end(struct crew *crew, struct warren_job *job, enum warren_outcome outcome)
{
    meter_ended(&crew->meter, job, outcome);
    if (job->traced)
        job_span_end(job, outcome, meter_reason(job, outcome));
    return job_end(job, outcome);
}

/* What was not run, for its channel is gone, took no time; nor does an attempt that had failed
 * after its end take any more. */
void crew_ran(struct crew *crew, uint32_t worker, int64_t took_ns)
{
    struct warren_job *job = crew_job(crew, worker);
    struct crew_hand *hand = crew_hand(crew, worker);
    uint32_t ran = job->has_run;

    if (hand) {
        ran += hand->ran;
        hand->ran = 0;
    }
    for (uint32_t i = 0; i < ran; i++) /* of a batch each has its share */
        meter_ran(&crew->meter, took_ns / ran);
    job->has_run = false;
}

/* ---- all jobs ---- */

static void visit_all(const struct crew *crew, void (*call)(struct warren_job *job, void *user),
                      void *user)
{
    for (uint32_t i = 0; i < crew->concurrency; i++) {
        const struct crew_hand *hand = crew_hand(crew, i);

        call(crew_job(crew, i), user);
        for (uint32_t k = 0; hand && k < atomic_load(&hand->count); k++)
            call(roster_at(&hand->jobs, k), user);
    }
}

struct overdue {
    int64_t now_ms;
    int64_t longest_ms;
};

static void look_for_overdue(struct warren_job *job, void *user)
{
    struct overdue *overdue = user;
    int64_t limit_ms = atomic_load_explicit(&job->limit_ms, memory_order_relaxed);

    if (limit_ms < overdue->now_ms && overdue->now_ms - limit_ms > overdue->longest_ms)
        overdue->longest_ms = overdue->now_ms - limit_ms;
}

int64_t crew_overdue_ms(const struct crew *crew, int64_t now_ms)
{
    struct overdue overdue = {now_ms, 0};

    visit_all(crew, look_for_overdue, &overdue);
    return overdue.longest_ms;
}

static void give_back_lost(struct warren_job *job, void *user)
{
    const struct crew *crew = user;

    if (job->worker && flight_is_lost(job->worker))
        semaphores_lose(crew->source->semaphores, &job->hold);
}

void crew_give_back_lost(struct crew *crew)
{
    visit_all(crew, give_back_lost, crew);
}

static void deadline_moved(struct warren_job *job, void *user)
{
    (void)user;
    job_deadline_moved(job);
}

void crew_deadline_moved(struct crew *crew)
{
    visit_all(crew, deadline_moved, NULL);
}
