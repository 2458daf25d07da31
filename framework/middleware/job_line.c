/* job_line.c - see job_line.h. */
#include "middleware/job_line.h"

void job_line_begin(struct log_line *line, enum warren_log_level level, const char *event,
                    struct warren_job *job, const char *handler)
{
    log_begin(line, level, event);
    log_text(line, "queue", warren_job_queue(job));
    log_text(line, "handler", handler);
    log_bytes(line, "message_id", warren_job_text(job, warren_job_properties(job)->message_id));
}
