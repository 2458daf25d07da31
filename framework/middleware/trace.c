/* trace.c - the trace middleware: W3C Trace Context from the message to whatever the job publishes.
 *
 * The headers `traceparent` and `tracestate` of the message are read. The job becomes a child: the
 * same trace id, a span id of its own, the sampled flag as it was; tracestate is passed on. A
 * message without a valid traceparent has no trace, or with `start: true` begins one, sampled, for
 * its lines are in the log. Each attempt has a span id of its own.
 *
 * With a tracer every message has a trace: one that comes without begins one, and of these the
 * tracer's ratio is sampled. A later attempt of such a message goes on with the trace of the one
 * before: that is known in this process, or noted in the copy (NOTE_TRACE).
 * Thread: any at once.
 * Elsewhere: the texts (base/traceparent.h); putting them into headers and lines, and spans
 * (consume/job/).
 */
#include "middleware/builtin.h"

#include <stdlib.h>

#include "amqp/wire/notes.h"
#include "base/error.h"
#include "base/middleware_own.h"
#include "base/span.h"

struct trace {
    bool start;
};

static const struct warren_option trace_options[] = {
    {"start", WARREN_OPTION_BOOL, "false", 0, 0, NULL,
     "Begins a trace, sampled, for a message that comes without one."},
    {0}};

static enum warren_status trace_open(const struct warren_subscription_info *info, void **state,
                                     struct warren_error *error)
{
    struct trace *trace = calloc(1, sizeof *trace);

    if (!trace)
        return error_set(error, WARREN_ENOMEM, "no memory for the middleware trace");
    trace->start = warren_options_bool(info->options, "start");
    *state = trace;
    return WARREN_OK;
}

/* The text of the header, or none. Clients write it as either type. */
static struct warren_bytes header_text(struct warren_job *job, const char *name)
{
    const struct warren_value *value = warren_job_header(job, name);
    struct warren_bytes none = {"", 0};

    if (!value || (value->type != WARREN_STRING && value->type != WARREN_BYTES))
        return none;
    return value->as.bytes;
}

/* A message without a trace begins one. Its attempts in this process are all sampled, or none. */
static void begin_trace(struct traceparent *self, const struct tracer *tracer,
                        const struct warren_job *job)
{
    span_begin_trace(self);
    self->sampled = tracer ? tracer_samples(tracer, warren_job_seed(job)) : true;
}

/* The job is a child of @cause, and the parent of what it publishes. */
static void follow(struct traceparent *self, const struct traceparent *cause)
{
    *self = *cause;
    span_new_self(self);
}

static void set_trace(struct warren_job *job, const struct traceparent *self, const char *state)
{
    char text[TRACEPARENT_SIZE];

    traceparent_write(self, text);
    warren_job_set_trace(job, text, state);
}

/* The attempt before this one; false: there was none, or it is not known. */
static bool find_earlier(struct warren_job *job, struct traceparent *earlier)
{
    return job_trace_earlier(job, earlier) ||
           traceparent_parse(header_text(job, NOTE_TRACE), earlier);
}

/* @message: NULL, if it has no trace of its own. */
static void trace_with(struct tracer *tracer, struct warren_job *job,
                       const struct traceparent *message, const char *state)
{
    struct job_context context = {.has_message = message != NULL};

    context.has_earlier = find_earlier(job, &context.earlier);
    if (message) {
        context.message = *message;
        follow(&context.self, message);
    } else if (context.has_earlier) {
        follow(&context.self, &context.earlier);
    } else {
        begin_trace(&context.self, tracer, job);
    }
    set_trace(job, &context.self, state);
    job_trace_begin(job, &context);
}

static enum warren_outcome trace_call(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    const struct trace *trace = state;
    struct tracer *tracer = job_tracer(job);
    struct traceparent parent;
    struct traceparent self;
    char text[TRACESTATE_SIZE];

    if (traceparent_parse(header_text(job, "traceparent"), &parent)) {
        bool has_state = tracestate_copy(header_text(job, "tracestate"), text);

        if (tracer) {
            trace_with(tracer, job, &parent, has_state ? text : NULL);
        } else {
            follow(&self, &parent);
            set_trace(job, &self, has_state ? text : NULL);
        }
    } else if (tracer) {
        trace_with(tracer, job, NULL, NULL);
    } else if (trace->start) {
        begin_trace(&self, NULL, job);
        set_trace(job, &self, NULL);
    }
    return warren_next(job, next);
}

const struct warren_middleware middleware_trace = {
    .name = "trace",
    .help = "Hands the message's W3C trace context on to whatever the handler publishes.",
    .options = trace_options,
    .open = trace_open,
    .call = trace_call,
    .close = free,
    .late_failures = true,
};
