/* recover.c - the recover middleware: warren_panic() ends here, as a failed attempt.
 *
 * What runs inside it (the handler, and middlewares further in) may give an attempt up from any
 * depth. The attempt becomes WARREN_RETRY with the panic's text, and one line at warn names queue,
 * handler, message id and attempt. The stack between is left without being unwound.
 * Without a panic it costs one setjmp(), which saves no signal mask: no system call.
 * Thread: any at once.
 * Elsewhere: the jump itself (warren_panic() in consume/); what a retry means (retry.h).
 */
#include "middleware/builtin.h"

#include <setjmp.h>

#include "base/log.h"
#include "middleware/job_line.h"

static enum warren_status recover_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    (void)error;
    *state = (void *)(uintptr_t)info;
    return WARREN_OK;
}

static enum warren_outcome panicked(struct warren_job *job,
                                    const struct warren_subscription_info *info)
{
    struct log_line line;

    if (log_enabled(WARREN_LOG_WARN)) {
        job_line_begin(&line, WARREN_LOG_WARN, "handler panicked", job, info->handler);
        log_int(&line, "attempt", warren_job_attempt(job));
        log_text(&line, "error", warren_job_error(job));
        log_end(&line);
    }
    return WARREN_RETRY;
}

/* Nothing of this frame changes between setjmp() and the jump back, so that all of it is still
 * what it was (C11, 7.13.2.1): hence the guard comes first, for it writes into `recovery`. */
static enum warren_outcome recover_call(struct warren_job *job, const struct warren_link *next,
                                        void *state)
{
    struct warren_recovery recovery;
    enum warren_outcome outcome;

    warren_job_guard(job, &recovery);
    if (setjmp(recovery.at) != 0) {
        warren_job_unguard(job, &recovery);
        return panicked(job, state);
    }
    outcome = warren_next(job, next);
    warren_job_unguard(job, &recovery);
    return outcome;
}

const struct warren_middleware middleware_recover = {
    .name = "recover",
    .help = "Makes a warren_panic() further in a failed attempt.",
    .open = recover_open,
    .call = recover_call,
};
