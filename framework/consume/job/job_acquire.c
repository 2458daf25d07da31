/* job_acquire.c - semaphores in a handler: warren_job_acquire() and warren_job_release(), and what
 * a job holds when its chain has returned. */
#include "base/error.h"
#include "base/forked.h"
#include "consume/job/job_group.h"
#include "consume/job/semaphores.h"

/* Who asks: the job, or a function of one of its groups. */
struct asker {
    struct warren_job *job;
    struct warren_group_call *call;
};

static int64_t left_ms(void *user)
{
    const struct asker *asker = user;

    return asker->call ? warren_group_time_left_ms(asker->call)
                       : warren_job_time_left_ms(asker->job);
}

/* The job's own text is its thread's. */
static void say(const struct asker *asker, const char *text)
{
    if (asker->call)
        warren_group_fail(asker->call, "%s", text);
    else
        warren_job_fail(asker->job, "%s", text);
}

static enum warren_status refuse(const struct asker *asker, enum warren_status status,
                                 const char *text)
{
    say(asker, text);
    return status;
}

enum warren_status warren_job_acquire(struct warren_job *job, const char *semaphore, int64_t weight,
                                      int64_t timeout_ms)
{
    struct semaphores *semaphores = job->source->semaphores;
    struct asker asker = {job, group_call_current(job)};
    const struct semaphore_patience patience = {!asker.call && !job->groups.first, timeout_ms,
                                                left_ms, &asker};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    if (forked_since(job->forks) || !job->runs)
        return WARREN_ECLOSED;
    if (!semaphore)
        return refuse(&asker, WARREN_EINVAL, "warren_job_acquire(): the semaphore is NULL");
    if (!semaphores)
        return refuse(&asker, WARREN_ENOTFOUND, "there are no semaphores");
    status = semaphores_acquire(semaphores, &job->hold, semaphore, weight, &patience, &error);
    if (status == WARREN_OK)
        return status;
    /* The group alone was cancelled. */
    if (status == WARREN_ETIMEOUT && asker.call && warren_group_cancelled(asker.call) &&
        !warren_job_cancelled(job))
        status = WARREN_ECLOSED;
    return refuse(&asker, status, error.text);
}

enum warren_status warren_job_release(struct warren_job *job, const char *semaphore, int64_t weight)
{
    struct semaphores *semaphores = job->source->semaphores;
    const struct asker asker = {job, group_call_current(job)};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    if (forked_since(job->forks))
        return WARREN_ECLOSED;
    if (!semaphore)
        return refuse(&asker, WARREN_EINVAL, "warren_job_release(): the semaphore is NULL");
    if (!semaphores)
        return refuse(&asker, WARREN_ENOTFOUND, "there are no semaphores");
    status = semaphores_release(semaphores, &job->hold, semaphore, weight, &error);
    return status == WARREN_OK ? status : refuse(&asker, status, error.text);
}

/* ---- around the chain ---- */

void job_hold_uses(struct warren_job *job)
{
    const struct edition *edition = job->attempt->edition;
    bool has = job->attempt->weighs == WEIGHS_ALL;

    semaphores_hold(job->source->semaphores, &job->hold, has ? edition->wants : NULL,
                    has ? edition->want_count : 0);
}

void job_put_down_uses(struct warren_job *job)
{
    struct attempt *attempt = job->attempt;

    if (attempt->weighs != WEIGHS_ALL)
        return;
    attempt->weighs = WEIGHS_NOTHING;
    semaphores_give(job->source->semaphores, attempt->edition->wants, attempt->edition->want_count);
}

void job_take_up_uses(struct warren_job *job)
{
    struct attempt *attempt = job->attempt;

    if (attempt->weighs != WEIGHS_NOTHING)
        return;
    semaphores_await(job->source->semaphores, attempt->edition->wants,
                     attempt->edition->want_count);
    attempt->weighs = WEIGHS_ALL;
}

void job_give_back(struct warren_job *job)
{
    bool weighs = job->attempt->weighs != WEIGHS_NOT;

    job->attempt->weighs = WEIGHS_NOT;
    semaphores_end(job->source->semaphores, &job->hold);
    if (weighs && job->source->unweighed)
        job->source->unweighed(job->source->user);
}
