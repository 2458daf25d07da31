/* job_line.h - a log line about a job, as all middlewares begin it. Thread: the job's worker.
 * Elsewhere: lines in general (base/log_line.h), what the log middleware adds (log.h).
 */
#ifndef WARREN_MIDDLEWARE_JOB_LINE_H
#define WARREN_MIDDLEWARE_JOB_LINE_H

#include <warren/middleware.h>

#include "base/log_line.h"

/**
 * Begin a line with @event, queue, handler and message id. Decodes the properties: ask
 * log_enabled() first. log_end() (base/log.h) hands it over.
 *
 * @handler  "PLUGIN.HANDLER"
 */
void job_line_begin(struct log_line *line, enum warren_log_level level, const char *event,
                    struct warren_job *job, const char *handler);

#endif
