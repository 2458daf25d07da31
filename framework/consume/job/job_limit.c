/* job_limit.c - how long an attempt may take, and how it is cancelled when the time is over. */
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/ending.h"
#include "base/forked.h"
#include "consume/crash/flight_recorder.h"
#include "consume/job/job.h"

/* When to give up, by the source's clock; INT64_MAX: never. */
static int64_t until_ms(const struct warren_job *job)
{
    int64_t limit_ms = atomic_load_explicit(&job->limit_ms, memory_order_relaxed);
    int64_t deadline_ms = atomic_load_explicit(job->source->deadline_ms, memory_order_relaxed);

    return limit_ms < deadline_ms ? limit_ms : deadline_ms;
}

int64_t warren_job_time_left_ms(const struct warren_job *job)
{
    int64_t end_ms = until_ms(job);

    return end_ms == INT64_MAX ? INT64_MAX : end_ms - clock_now_ms(job->source->clock);
}

bool warren_job_cancelled(const struct warren_job *job)
{
    return warren_job_time_left_ms(job) <= 0;
}

/* ---- the descriptor ---- */

void job_alarm_init(struct job_alarm *alarm)
{
    pthread_mutex_init(&alarm->lock, NULL);
    alarm->fd = -1;
    alarm->in_use = false;
}

void job_alarm_done(struct job_alarm *alarm)
{
    descriptors_close(alarm->fd);
    pthread_mutex_destroy(&alarm->lock);
}

/* Setting the time also takes back what has expired. 0: never. */
static void set(struct job_alarm *alarm, int64_t delay_ns)
{
    struct itimerspec when = {{0, 0}, {delay_ns / 1000000000, delay_ns % 1000000000}};

    if (timerfd_settime(alarm->fd, 0, &when, NULL) == 0)
        return;
    descriptors_check();
    ending_now(
        "descriptor %d, of warren_job_cancel_fd(), is no timer any more: it was closed, and is "
        "not the handler's to close",
        alarm->fd);
}

/* Under the lock. */
static void set_alarm(struct warren_job *job)
{
    int64_t end_ms = until_ms(job);
    int64_t delay_ns;

    if (end_ms > INT64_MAX / 1000000) /* in 292 years */
        delay_ns = 0;
    else if ((delay_ns = end_ms * 1000000 - clock_now_ns(job->source->clock)) <= 0)
        delay_ns = 1;
    set(&job->alarm, delay_ns);
}

static void make_timer(struct job_alarm *alarm)
{
    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    descriptors_add(alarm->fd, -1, "of warren_job_cancel_fd()");
}

int warren_job_cancel_fd(struct warren_job *job)
{
    struct job_alarm *alarm = &job->alarm;

    if (forked_since(job->forks))
        return -1;
    if (alarm->in_use)
        return alarm->fd;
    pthread_mutex_lock(&alarm->lock);
    if (alarm->fd < 0)
        make_timer(alarm);
    alarm->in_use = alarm->fd >= 0;
    if (alarm->in_use)
        set_alarm(job);
    pthread_mutex_unlock(&alarm->lock);
    return alarm->fd;
}

void job_alarm_rest(struct job_alarm *alarm)
{
    pthread_mutex_lock(&alarm->lock);
    alarm->in_use = false;
    set(alarm, 0);
    pthread_mutex_unlock(&alarm->lock);
}

void job_deadline_moved(struct warren_job *job)
{
    pthread_mutex_lock(&job->alarm.lock);
    if (job->alarm.in_use)
        set_alarm(job);
    pthread_mutex_unlock(&job->alarm.lock);
    if (job->source->semaphores) /* in whose line it may wait */
        semaphores_look(job->source->semaphores);
}

void warren_job_limit(struct warren_job *job, int64_t end_ms)
{
    if (end_ms >= atomic_load_explicit(&job->limit_ms, memory_order_relaxed))
        return;
    atomic_store_explicit(&job->limit_ms, end_ms, memory_order_relaxed);
    if (job->alarm.in_use)
        job_deadline_moved(job);
}

void warren_job_hard_limit(struct warren_job *job, int64_t end_ms)
{
    if (job->worker)
        flight_limit(job->worker, end_ms, end_ms - clock_now_ms(job->source->clock));
}
