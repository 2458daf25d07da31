/* job_failure.c - the memory and the error of a job, what a failed attempt, or that of a duplicate,
 * asks for, and the way out of one by warren_panic(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consume/job/job_batch.h"
#include "consume/job/job_group.h"

/* ---- memory and error of a job ---- */

#define LOG_EVENT_SIZE 1024

void *warren_job_alloc(struct warren_job *job, size_t size)
{
    return arena_alloc(&job->arena, size);
}

/* warren_job_fail() with a list of arguments. */
__attribute__((format(printf, 2, 0))) static void
job_fail_with(struct warren_job *job, const char *format, va_list arguments)
{
    char text[JOB_ERROR_SIZE]; /* the arguments may hold warren_job_error() */

    vsnprintf(text, sizeof text, format, arguments);
    memcpy(job->error, text, strlen(text) + 1);
}

void warren_job_fail(struct warren_job *job, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    job_fail_with(job, format, arguments);
    va_end(arguments);
}

const char *warren_job_error(const struct warren_job *job)
{
    return job->error[0] ? job->error : NULL;
}

void job_log_names(struct warren_job *job, struct log_line *line)
{
    log_text(line, "queue", job->source->queue);
    log_text(line, "handler", job->source->handler);
    log_bytes(line, "message_id", job_message_id(job));
}

void job_end_child(struct warren_job *job)
{
    struct log_line line;

    log_begin(
        &line, WARREN_LOG_ERROR,
        "a child of fork(2) came back from a handler: it is ended, for it has to call _exit(2) "
        "itself");
    job_log_names(job, &line);
    log_int(&line, "pid", getpid());
    log_end(&line);
    _exit(1); /* what others do at an end is the worker's */
}

void warren_job_log(struct warren_job *job, enum warren_log_level level, const char *format, ...)
{
    struct log_line line;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    log_begin_format(&line, level, LOG_EVENT_SIZE, format, arguments);
    va_end(arguments);
    job_log_names(job, &line);
    log_text(&line, "traceparent", job->traceparent);
    log_end(&line);
}

/* For the log's last lines before abort(). */
#define LOG_STOP_MS 1000

void warren_job_retry_after(struct warren_job *job, int64_t delay_ms)
{
    job->retry_delay_ms = delay_ms >= 0 ? delay_ms : -1;
    job->retry_from_ms = clock_now_ms(job->source->clock);
}

int64_t warren_job_retry_delay_ms(const struct warren_job *job)
{
    return job->retry_delay_ms;
}

void warren_job_hold_max(struct warren_job *job, int64_t ms)
{
    job->hold_max_ms = ms;
}

void warren_job_reason(struct warren_job *job, const char *reason)
{
    snprintf(job->reason, sizeof job->reason, "%s", reason);
}

void warren_job_forgive(struct warren_job *job)
{
    job->forgiven = true;
}

bool warren_job_forgiven(const struct warren_job *job)
{
    return job->forgiven;
}

void warren_job_duplicate(struct warren_job *job)
{
    job->duplicate = true;
}

bool warren_job_is_duplicate(const struct warren_job *job)
{
    return job->duplicate;
}

/* ---- panic ---- */

void warren_job_guard(struct warren_job *job, struct warren_recovery *recovery)
{
    recovery->outer = job->recovery;
    job->recovery = recovery;
}

/* One that is not there was taken out by the panic that jumped to it. */
void warren_job_unguard(struct warren_job *job, struct warren_recovery *recovery)
{
    for (struct warren_recovery *r = job->recovery; r; r = r->outer) {
        if (r == recovery) {
            job->recovery = r->outer;
            return;
        }
    }
}

static void die(struct warren_job *job) __attribute__((noreturn));
static void die(struct warren_job *job)
{
    struct log_line line;

    log_begin(&line, WARREN_LOG_ERROR, "the handler panicked, and no recover stands in its chain");
    job_log_names(job, &line);
    log_text(&line, "error", job->error);
    log_end(&line);
    if (!job->worker) /* else the process goes on for a while */
        log_stop(LOG_STOP_MS);
    abort();
}

/* On whatever thread: the job itself is not touched. */
__attribute__((noreturn, format(printf, 2, 0))) static void
panic_in_group(struct warren_group_call *call, const char *format, va_list arguments)
{
    char text[JOB_ERROR_SIZE];

    vsnprintf(text, sizeof text, format, arguments);
    memcpy(call->error, text, strlen(text) + 1);
    group_call_panic(call);
}

void warren_panic(struct warren_job *job, const char *format, ...)
{
    struct warren_group_call *call = group_call_current(job);
    struct warren_recovery *recovery = job->recovery;
    va_list arguments;

    va_start(arguments, format);
    if (call)
        panic_in_group(call, format, arguments); /* NOLINT: it does not return, nor does va_end */
    job_fail_with(job, format, arguments);
    va_end(arguments);
    if (!recovery)
        die(job);
    if (job_batch_is_running(job))
        job_batch_panic(job);
    if (job->groups.first) /* they may use what is on the stack that goes */
        job_groups_drop(job);
    job->recovery = recovery->outer;
    longjmp(recovery->at, 1);
}
