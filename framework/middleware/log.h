/* log.h - the log middleware: one structured line for each attempt that ended.
 *
 * An acked message at level `acked` (debug), one of `sample`; any other outcome at level `failed`
 * (warn), each. Queue, handler, message id, correlation id, attempt, redelivered, outcome,
 * duration, traceparent, error; the form is the process's (`log.format`). What is not written costs
 * nothing: no look at the clock, no decoding.
 * Thread: any at once.
 */
#ifndef WARREN_MIDDLEWARE_LOG_H
#define WARREN_MIDDLEWARE_LOG_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_log;

#endif
