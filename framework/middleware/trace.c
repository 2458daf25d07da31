/* trace.c - the trace middleware: W3C Trace Context from the message to whatever the job publishes.
 *
 * The headers `traceparent` and `tracestate` of the message are read. The job becomes a child: the
 * same trace id, a span id of its own, the sampled flag as it was; tracestate is passed on. A
 * message without a valid traceparent has no trace, or with `start: true` begins one, sampled, for
 * its lines are in the log. Each attempt has a span id of its own.
 * Span ids come from a generator of each thread: no lock, no system call a message.
 * Thread: any at once.
 * Elsewhere: the texts (traceparent.h); putting them into headers and lines (consume/).
 */
#include "middleware/builtin.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/random.h"
#include "middleware/traceparent.h"

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

/* Not 0, for an id must not be all zero. */
static uint64_t random_id(void)
{
    static _Thread_local struct {
        bool seeded;
        struct random random;
    } own;
    uint64_t id;

    if (!own.seeded) {
        random_init(&own.random, random_seed());
        own.seeded = true;
    }
    do
        id = random_u64(&own.random);
    while (id == 0);
    return id;
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

static void begin_trace(struct traceparent *parent)
{
    traceparent_write_hex(random_id(), 16, parent->trace_id);
    traceparent_write_hex(random_id(), 16, parent->trace_id + 16);
    parent->sampled = true;
}

/* The job is the parent of what it publishes. */
static void set_trace(struct warren_job *job, struct traceparent *parent, const char *state)
{
    char text[TRACEPARENT_SIZE];

    traceparent_write_hex(random_id(), 16, parent->parent_id);
    traceparent_write(parent, text);
    warren_job_set_trace(job, text, state);
}

static enum warren_outcome trace_call(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    const struct trace *trace = state;
    struct traceparent parent;
    char text[TRACESTATE_SIZE];

    if (traceparent_parse(header_text(job, "traceparent"), &parent)) {
        bool has_state = tracestate_copy(header_text(job, "tracestate"), text);

        set_trace(job, &parent, has_state ? text : NULL);
    } else if (trace->start) {
        begin_trace(&parent);
        set_trace(job, &parent, NULL);
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
