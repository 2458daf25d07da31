/* job_scratch.c - what a job offers for working: memory, the reason of a failure, log lines. */
#include "consume/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define LOG_EVENT_SIZE 1024

void *warren_job_alloc(struct warren_job *job, size_t size)
{
    return arena_alloc(&job->arena, size);
}

void warren_job_fail(struct warren_job *job, const char *format, ...)
{
    char text[JOB_ERROR_SIZE]; /* the arguments may hold warren_job_error() */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(job->error, text, strlen(text) + 1);
}

const char *warren_job_error(const struct warren_job *job)
{
    return job->error[0] ? job->error : NULL;
}

void warren_job_log(struct warren_job *job, enum warren_log_level level, const char *format, ...)
{
    char event[LOG_EVENT_SIZE];
    struct log_line line;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    vsnprintf(event, sizeof event, format, arguments);
    va_end(arguments);
    log_begin(&line, level, event);
    log_text(&line, "queue", job->source->queue);
    log_text(&line, "handler", job->source->handler);
    log_text(&line, "message_id", warren_job_properties(job)->message_id);
    log_end(&line);
}
