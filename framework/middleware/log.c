/* log.c - see log.h. */
#include "middleware/log.h"

#include <stdint.h>

#include "base/log.h"

static void write_line(struct warren_job *job, enum warren_log_level level,
                       enum warren_outcome outcome, const char *handler)
{
    struct log_line line;

    log_begin(&line, level, "message handled");
    log_text(&line, "queue", warren_job_queue(job));
    log_text(&line, "handler", handler);
    log_text(&line, "message_id", warren_job_properties(job)->message_id);
    log_int(&line, "attempt", warren_job_attempt(job));
    log_bool(&line, "redelivered", warren_job_redelivered(job));
    log_text(&line, "outcome", warren_outcome_name(outcome));
    log_int(&line, "duration_ms", warren_job_elapsed_us(job) / 1000);
    log_text(&line, "error", warren_job_error(job));
    log_end(&line);
}

static enum warren_outcome call(struct warren_job *job, const struct warren_link *next, void *state)
{
    enum warren_outcome outcome = warren_next(job, next);
    enum warren_log_level level = outcome == WARREN_ACK ? WARREN_LOG_DEBUG : WARREN_LOG_WARN;

    if (log_enabled(level))
        write_line(job, level, outcome, state);
    return outcome;
}

struct warren_link log_middleware(const char *handler)
{
    struct warren_link link = {call, (void *)(uintptr_t)handler};

    return link;
}
