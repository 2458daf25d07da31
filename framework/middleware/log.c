/* log.c - the log middleware: one structured line for each attempt that ended.
 *
 * An acked message at level `acked` (debug), one of `sample`; any other outcome at level `failed`
 * (warn), each. Queue, handler, message id, correlation id, attempt, redelivered, outcome,
 * messages in its batch, duration, traceparent, error; the form is the process's (`log.format`).
 * What is not written costs nothing: no look at the clock, no decoding. Thread: any at once.
 */
#include "middleware/builtin.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "middleware/job_line.h"

#define SAMPLE_MAX 1000000000

struct log {
    const char *handler;
    /* A reload may change these while jobs run. */
    _Atomic int acked; /* enum warren_log_level */
    _Atomic int failed;
    atomic_uint_fast64_t sample;
    atomic_uint_fast64_t acks; /* counted only while acks are logged and sampled */
};

static const struct warren_option log_options[] = {
    {"acked", WARREN_OPTION_ENUM, "debug", 0, 0, LOG_LEVELS,
     "The level of a line about an acked message."},
    {"failed", WARREN_OPTION_ENUM, "warn", 0, 0, LOG_LEVELS,
     "The level of a line about any other outcome."},
    {"sample", WARREN_OPTION_INT, "1", 1, SAMPLE_MAX, NULL,
     "One acked message in this many has a line."},
    {0}};

static void log_reload(void *state, const struct warren_options *options)
{
    struct log *log = state;

    atomic_store_explicit(&log->acked,
                          choices_find(LOG_LEVELS, warren_options_text(options, "acked")),
                          memory_order_relaxed);
    atomic_store_explicit(&log->failed,
                          choices_find(LOG_LEVELS, warren_options_text(options, "failed")),
                          memory_order_relaxed);
    atomic_store_explicit(&log->sample, (uint64_t)warren_options_int(options, "sample"),
                          memory_order_relaxed);
}

static enum warren_status log_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    struct log *log = calloc(1, sizeof *log);

    if (!log)
        return error_set(error, WARREN_ENOMEM, "no memory for the middleware log");
    log->handler = info->handler;
    log_reload(log, info->options);
    *state = log;
    return WARREN_OK;
}

/* "" would be a field without a value. */
static const char *or_none(const char *text)
{
    return *text ? text : NULL;
}

static void write_line(struct warren_job *job, enum warren_log_level level,
                       enum warren_outcome outcome, const char *handler)
{
    struct log_line line;

    job_line_begin(&line, level, "message handled", job, handler);
    log_bytes(&line, "correlation_id",
              warren_job_text(job, warren_job_properties(job)->correlation_id));
    log_int(&line, "attempt", warren_job_attempt(job));
    log_bool(&line, "redelivered", warren_job_redelivered(job));
    log_text(&line, "outcome", warren_outcome_name(outcome));
    if (warren_job_batched(job) > 0)
        log_int(&line, "batch", (int64_t)warren_job_batched(job));
    if (warren_job_is_duplicate(job))
        log_bool(&line, "duplicate", true);
    log_int(&line, "duration_ms", warren_job_elapsed_us(job) / 1000);
    log_text(&line, "traceparent", or_none(warren_job_traceparent(job)));
    log_text(&line, "error", warren_job_error(job));
    log_end(&line);
}

static bool is_sampled(struct log *log)
{
    uint64_t sample = atomic_load_explicit(&log->sample, memory_order_relaxed);

    return sample == 1 ||
           atomic_fetch_add_explicit(&log->acks, 1, memory_order_relaxed) % sample == 0;
}

/* A forgiven attempt was turned away, by an open breaker say, which has logged why. */
static enum warren_log_level level_for(const struct log *log, const struct warren_job *job,
                                       enum warren_outcome outcome)
{
    const _Atomic int *level = outcome == WARREN_ACK ? &log->acked : &log->failed;

    if (outcome != WARREN_ACK && warren_job_forgiven(job))
        return WARREN_LOG_DEBUG;
    return (enum warren_log_level)atomic_load_explicit(level, memory_order_relaxed);
}

static enum warren_outcome log_call(struct warren_job *job, const struct warren_link *next,
                                    void *state)
{
    struct log *log = state;
    enum warren_outcome outcome = warren_next(job, next);
    enum warren_log_level level = level_for(log, job, outcome);

    if (log_enabled(level) && (outcome != WARREN_ACK || is_sampled(log)))
        write_line(job, level, outcome, log->handler);
    return outcome;
}

const struct warren_middleware middleware_log = {
    .name = "log",
    .help = "Writes one line for each attempt that ended.",
    .options = log_options,
    .open = log_open,
    .call = log_call,
    .reload = log_reload,
    .close = free,
    .late_failures = true,
};
