/* job_trace.c - the W3C trace context of a job, and how what it publishes comes by it. */
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/properties.h"
#include "consume/job/job.h"

#define PARENT "traceparent"
#define STATE  "tracestate"

static const char *copy(struct warren_job *job, const char *text)
{
    return text && *text ? arena_text(&job->arena, text, strlen(text)) : NULL;
}

void warren_job_set_trace(struct warren_job *job, const char *traceparent, const char *tracestate)
{
    job->traceparent = copy(job, traceparent);
    job->tracestate = job->traceparent ? copy(job, tracestate) : NULL;
}

const char *warren_job_traceparent(const struct warren_job *job)
{
    return job->traceparent ? job->traceparent : "";
}

/* Room for two more than @headers have. */
static struct warren_field *room(struct job_traced *traced, const struct warren_table *headers)
{
    if (headers->count + 2 <= sizeof traced->few / sizeof traced->few[0])
        return traced->few;
    traced->many = calloc(headers->count + 2, sizeof *traced->many);
    return traced->many;
}

const struct warren_value *job_trace_own(const struct warren_job *job,
                                         const struct warren_message *message)
{
    return table_get(&message->properties.headers, PARENT, &job->arena);
}

enum warren_status job_trace(const struct warren_job *job, const char *traceparent,
                             const struct warren_message *message, struct job_traced *traced)
{
    const struct warren_table *headers = &message->properties.headers;
    struct warren_field *fields;
    size_t count = headers->count;

    traced->message = *message;
    traced->many = NULL;
    if (!traceparent || job_trace_own(job, message))
        return WARREN_OK;
    fields = room(traced, headers);
    if (!fields)
        return WARREN_ENOMEM;
    if (count > 0)
        memcpy(fields, headers->fields, count * sizeof *fields);
    fields[count++] = warren_field_text(PARENT, traceparent);
    if (job->tracestate && !table_get(headers, STATE, &job->arena))
        fields[count++] = warren_field_text(STATE, job->tracestate);
    traced->message.properties.headers = (struct warren_table){fields, count};
    return WARREN_OK;
}

void job_traced_done(struct job_traced *traced)
{
    free(traced->many);
}
