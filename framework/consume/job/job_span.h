/* job_span.h - the spans of a message: of its attempts, of what they publish, and of what becomes
 * of it. There are some if the source has a tracer, the middleware trace has run, and the trace is
 * sampled; else each function here is one look at a pointer.
 *
 *   the message's context > receive
 *                         > process > publish, retry, dead letter, settlement
 *
 * A message without a context of its own: receive is the parent of process. A later attempt links
 * to the one before.
 * Thread: see each. Elsewhere: what a span is (base/span.h), who decides (middleware/trace.c).
 */
#ifndef WARREN_CONSUME_JOB_SPAN_H
#define WARREN_CONSUME_JOB_SPAN_H

#include "consume/job/job.h"

/** Of an attempt: one piece of memory, which it owns. */
struct attempt_trace {
    struct traceparent self; /* of the last attempt that began */
    char parent_id[17];      /* of all of them; "": none */
    int64_t ended_ns;        /* of that attempt */
    uint32_t attempt;
};

/** The attempt of @job has this @outcome, and failed because of @why, in a word. Before job_end().
 * Thread: the worker's. */
void job_span_end(struct warren_job *job, enum warren_outcome outcome, const char *why);

/** One message that a job publishes. */
struct publish_span {
    struct tracer *tracer;
    struct settlement *settlement; /* that its receipt is for; NULL: there comes none */
    char traceparent[TRACEPARENT_SIZE];
    struct span span;
};

/**
 * @what, which is without its message, is about to be published. publish_span_receipt() or
 * publish_span_end() frees what this returns.
 *
 * @return NULL: the job has no spans, or there is no memory
 * Thread: the worker's.
 */
struct publish_span *job_span_publish(struct warren_job *job, const struct warren_publish *what,
                                      const struct warren_message *message, int64_t delay_ms);
/** Its receipt, in front of settlement_receipt(). A warren_receipt_fn; @user is the span. */
void publish_span_receipt(const struct warren_receipt *receipt, void *user);
/** No receipt comes. @why: it was not accepted, in a word; NULL: it was. NULL is fine. */
void publish_span_end(struct publish_span *span, const char *why);

/* ---- on the loop ---- */

/** @attempt leaves by @verdict. */
void attempt_span_settled(const struct job_source *source, const struct attempt *attempt,
                          enum verdict verdict);
/** Another attempt follows: here, or by a copy that was confirmed. */
void attempt_span_retried(const struct job_source *source, const struct attempt *attempt);
/** The dead letter was confirmed. */
void attempt_span_dead_lettered(const struct job_source *source, const struct attempt *attempt,
                                const char *exchange);
/** What a copy says of the attempt that it follows, in @text; NULL: it has no spans. */
const char *attempt_span_note(const struct attempt *attempt, char text[TRACEPARENT_SIZE]);

#endif
