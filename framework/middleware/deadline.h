/* deadline.h - the deadline middleware: a time limit for each attempt.
 *
 * From the moment that the attempt comes here it has `limit`: warren_job_time_left_ms() counts it
 * down, and once it passed, warren_job_cancelled() and warren_job_cancel_fd() tell the handler.
 * The handler is not interrupted; it ends when it returns. A handler that has not returned by
 * `hard_limit`, if there is one, is given up with its thread; see warren_job_hard_limit(). If it
 * returns after the limit:
 *
 *   ACK, REJECT,  stay what they are: an effect that came late is done all the same, and a verdict
 *   DISCARD       is a verdict. One line at warn tells that it was late, with the count of late
 *                 ones so far.
 *   RETRY         stays, with the text "time limit of 5s passed", before the handler's own.
 *   REQUEUE       becomes RETRY, likewise: a handler that hands back because it was cancelled
 *                 would otherwise do so for ever, without blame.
 *
 * Thread: any at once.
 */
#ifndef WARREN_MIDDLEWARE_DEADLINE_H
#define WARREN_MIDDLEWARE_DEADLINE_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_deadline;

#endif
