/* trace.h - the trace middleware: W3C Trace Context from the message to whatever the job publishes.
 *
 * The headers `traceparent` and `tracestate` of the message are read. The job becomes a child: the
 * same trace id, a span id of its own, the sampled flag as it was; tracestate is passed on. A
 * message without a valid traceparent has no trace, or with `start: true` begins one, sampled, for
 * its lines are in the log. Each attempt has a span id of its own.
 * Span ids come from a generator of each thread: no lock, no system call a message.
 * Thread: any at once.
 * Elsewhere: the texts (traceparent.h); putting them into headers and lines (consume/).
 */
#ifndef WARREN_MIDDLEWARE_TRACE_H
#define WARREN_MIDDLEWARE_TRACE_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_trace;

#endif
