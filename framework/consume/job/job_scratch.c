/* job_scratch.c - what a job offers for working: memory, the reason of a failure, log lines. */
#include "consume/job/job.h"

#include <stdio.h>
#include <string.h>

#define LOG_EVENT_SIZE 1024

void *warren_job_alloc(struct warren_job *job, size_t size)
{
    return arena_alloc(&job->arena, size);
}

void job_fail_with(struct warren_job *job, const char *format, va_list arguments)
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
