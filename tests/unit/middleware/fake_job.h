/* fake_job.h - a job and options that the test makes; in place of those of consume/ and config/,
 * which the middlewares may not know: the linker takes the first.
 */
#ifndef TESTS_UNIT_MIDDLEWARE_FAKE_JOB_H
#define TESTS_UNIT_MIDDLEWARE_FAKE_JOB_H

#include <unistd.h>

#include <warren/middleware.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/middleware_own.h"
#include "support/test.h"

struct warren_job {
    enum warren_outcome outcome; /* what the handler answers */
    struct warren_properties properties;
    char error[1025];
    char traceparent[64];
    char tracestate[600];
    bool has_tracestate;
    int traces; /* how often a trace was set */
    struct tracer *tracer;
    uint64_t seed;
    bool has_earlier; /* there was an attempt before this one, in this process */
    struct traceparent earlier;
    struct job_context context; /* as job_trace_begin() was told */
    uint32_t attempt;
    bool forgiven;
    bool duplicate;
    int64_t now_ms;
    int64_t took_ms; /* by how much the handler advances the clock */
    int64_t limit_ms;
    int64_t hard_limit_ms;
    struct warren_recovery *recovery;
    unsigned asked;     /* accessors that cost something */
    struct arena arena; /* all zero: no text holds a NUL */
};

/* ---- what a middleware asks of a job ---- */

const char *warren_job_queue(const struct warren_job *job)
{
    (void)job;
    return "bills";
}

const struct warren_properties *warren_job_properties(struct warren_job *job)
{
    job->asked++;
    return &job->properties;
}

struct arena *job_arena(struct warren_job *job)
{
    return &job->arena;
}

struct warren_bytes warren_job_text(const struct warren_job *job, const char *text)
{
    return arena_bytes(&job->arena, text);
}

const struct warren_value *warren_job_header(struct warren_job *job, const char *name)
{
    return warren_table_get(&warren_job_properties(job)->headers, name);
}

bool warren_job_forgiven(const struct warren_job *job)
{
    return job->forgiven;
}

size_t warren_job_batched(const struct warren_job *job)
{
    (void)job;
    return 0;
}

bool warren_job_is_duplicate(const struct warren_job *job)
{
    return job->duplicate;
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    job->asked++;
    return job->attempt;
}

bool warren_job_redelivered(const struct warren_job *job)
{
    return job->attempt > 1;
}

int64_t warren_job_elapsed_us(const struct warren_job *job)
{
    ((struct warren_job *)(uintptr_t)job)->asked++;
    return 12999;
}

const char *warren_job_error(const struct warren_job *job)
{
    return *job->error ? job->error : NULL;
}

void warren_job_fail(struct warren_job *job, const char *format, ...)
{
    char text[sizeof job->error];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(job->error, text, sizeof text);
}

int64_t warren_job_now_ms(const struct warren_job *job)
{
    return job->now_ms;
}

void warren_job_limit(struct warren_job *job, int64_t until_ms)
{
    job->limit_ms = until_ms;
}

void warren_job_hard_limit(struct warren_job *job, int64_t until_ms)
{
    job->hard_limit_ms = until_ms;
}

void warren_job_set_trace(struct warren_job *job, const char *traceparent, const char *tracestate)
{
    job->traces++;
    job->has_tracestate = tracestate != NULL;
    snprintf(job->traceparent, sizeof job->traceparent, "%s", traceparent ? traceparent : "");
    snprintf(job->tracestate, sizeof job->tracestate, "%s", tracestate ? tracestate : "");
}

const char *warren_job_traceparent(const struct warren_job *job)
{
    return job->traceparent;
}

struct tracer *job_tracer(const struct warren_job *job)
{
    return job->tracer;
}

bool job_trace_earlier(const struct warren_job *job, struct traceparent *ret_earlier)
{
    *ret_earlier = job->earlier;
    return job->has_earlier;
}

void job_trace_begin(struct warren_job *job, const struct job_context *context)
{
    job->context = *context;
}

uint64_t warren_job_seed(const struct warren_job *job)
{
    return job->seed;
}

/* ---- panics, as the contract has them ---- */

void warren_job_guard(struct warren_job *job, struct warren_recovery *recovery)
{
    recovery->outer = job->recovery;
    job->recovery = recovery;
}

void warren_job_unguard(struct warren_job *job, struct warren_recovery *recovery)
{
    job->recovery = recovery->outer;
}

void warren_panic(struct warren_job *job, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(job->error, sizeof job->error, format, arguments);
    va_end(arguments);
    if (!job->recovery)
        abort();
    longjmp(job->recovery->at, 1);
}

/* ---- options ---- */

/* One value a name; a text that looks like a number is one. */
struct warren_options {
    struct {
        const char *name;
        const char *value;
    } values[4];
};

const char *warren_options_text(const struct warren_options *options, const char *name)
{
    for (size_t i = 0; i < 4 && options->values[i].name; i++)
        if (strcmp(options->values[i].name, name) == 0)
            return options->values[i].value;
    abort();
}

int64_t warren_options_int(const struct warren_options *options, const char *name)
{
    return strtoll(warren_options_text(options, name), NULL, 10);
}

bool warren_options_bool(const struct warren_options *options, const char *name)
{
    return strcmp(warren_options_text(options, name), "true") == 0;
}

/* ---- running ---- */

/* The handler, for tests that need no other. */
static inline enum warren_outcome fake_handle(struct warren_job *job,
                                              const struct warren_link *next, void *state)
{
    (void)next;
    (void)state;
    job->now_ms += job->took_ms;
    return job->outcome;
}

/* The log of the process goes into a pipe, until fake_log_end() reads it. */
struct fake_log {
    int ends[2];
    char text[4 * LOG_LINE_MAX];
};

static inline void fake_log_begin(struct fake_log *log, enum warren_log_level level)
{
    assert_int_equal(pipe(log->ends), 0);
    log_set(level, LOG_LOGFMT);
    assert_int_equal(log_start(log->ends[1]), WARREN_OK);
}

static inline void fake_log_end(struct fake_log *log)
{
    ssize_t len;

    log_stop(10000);
    close(log->ends[1]);
    len = read(log->ends[0], log->text, sizeof log->text - 1);
    assert_true(len >= 0);
    log->text[len] = '\0';
    close(log->ends[0]);
}

static inline int fake_log_lines(const struct fake_log *log)
{
    int lines = 0;

    for (const char *c = log->text; *c; c++)
        lines += *c == '\n';
    return lines;
}

static inline void fake_log_has(const struct fake_log *log, const char *part)
{
    if (!strstr(log->text, part))
        fail_msg("%s is not in: %s", part, log->text);
}

/* Open @middleware for "pay.charge"; @info is the caller's. */
static inline void *fake_open(const struct warren_middleware *middleware,
                              struct warren_subscription_info *info,
                              const struct warren_options *options)
{
    void *state = NULL;

    *info = (struct warren_subscription_info){.queue = "bills",
                                              .handler = "pay.charge",
                                              .concurrency = 1,
                                              .options = options,
                                              .ack_timeout_ms = 1800000};
    assert_int_equal(middleware->open(info, &state, NULL), WARREN_OK);
    return state;
}

#endif
