/* middleware_own.h - what warren's own middlewares ask of a job and of its subscription besides
 * <warren/middleware.h>: the part of that contract which is not public. It stands down here because
 * middleware/, which calls it, and consume/, which does it, are of one storey.
 * Thread: as in middleware.h.
 */
#ifndef WARREN_BASE_MIDDLEWARE_OWN_H
#define WARREN_BASE_MIDDLEWARE_OWN_H

#include <warren/middleware.h>

#include "base/traceparent.h"

struct arena;
struct key_writer;
struct sqlite3;
struct tracer;
struct warren_outbox;

/** Of struct warren_subscription_info: what the worker keeps for it. */
struct warren_subscription {
    struct key_writer *key_writer; /* remembers messages; NULL: every one is handled. It outlives
                              the middlewares but for key_writer_free() */
    struct sqlite3 *sqlite;        /* for a transactional handler; else NULL */
    const char *keys_of; /* the queue whose keys these messages have: of a slow lane that of its
                            fast one. NULL: its own */
};

/** The memory of @job, which knows the lengths of its texts. */
struct arena *job_arena(struct warren_job *job);

/** Told of a reply before it is published; @reply lives until it returns. */
typedef void job_reply_fn(const struct warren_message *reply, void *user);

/** From now on @on_reply is called for each warren_job_reply() of this attempt. */
void job_on_reply(struct warren_job *job, job_reply_fn *on_reply, void *user);

/** Returns what warren_job_sqlite() is to return; asked in each call. */
typedef struct sqlite3 *job_transaction_fn(struct warren_job *job, void *user);

/**
 * In a batch: the attempt's part of its transaction ends, whatever it is, with @outcome.
 *
 * @more    that of another message of the batch follows at once
 * @return  @outcome, or WARREN_RETRY
 */
typedef enum warren_outcome job_leave_fn(struct warren_job *job, enum warren_outcome outcome,
                                         bool more, void *user);

/** From now on ask @give for the transaction of this attempt; NULL: there is none. */
void job_on_transaction(struct warren_job *job, job_transaction_fn *give, job_leave_fn *leave,
                        void *user);

/** What the job publishes goes there, from now on in this attempt. */
void job_set_outbox(struct warren_job *job, struct warren_outbox *outbox);

/** Who takes the spans of @job; NULL: nobody. */
struct tracer *job_tracer(const struct warren_job *job);

/** The trace of one attempt. */
struct job_context {
    struct traceparent self;    /* the attempt's */
    struct traceparent message; /* that its message came with */
    struct traceparent earlier; /* of the attempt before */
    bool has_message;
    bool has_earlier;
};

/** The context of the attempt before this one in this process. @return false: there was none */
bool job_trace_earlier(const struct warren_job *job, struct traceparent *ret_earlier);
/** The job has this trace: if it is sampled, its spans go to the tracer, which it has. */
void job_trace_begin(struct warren_job *job, const struct job_context *context);

#endif
