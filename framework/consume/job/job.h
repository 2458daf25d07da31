/* job.h - one message being handled: what <warren/handler.h> and <warren/middleware.h> promise, for
 * one worker thread. A worker thread owns one struct warren_job and uses it again for each message.
 * Thread: the worker's. Elsewhere: what becomes of the outcome (settlement.h, admission.h).
 */
#ifndef WARREN_CONSUME_JOB_H
#define WARREN_CONSUME_JOB_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <warren/middleware.h>
#include <warren/publisher.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/forked.h"
#include "base/log.h"
#include "base/middleware_own.h"
#include "base/span.h"
#include "consume/attempt/attempt.h"
#include "consume/job/edition.h"
#include "consume/job/failure_groups.h"
#include "consume/job/semaphores.h"
#include "consume/relay/relay.h"
#include "consume/relay/settlement.h"

/** Bytes kept of a reason (warren_job_reason()), with the NUL. */
#define JOB_REASON_SIZE 32
/** Bytes kept of an error text (warren_job_fail()), with the NUL. */
#define JOB_ERROR_SIZE 1025

/**
 * Takes what a job publishes, as publisher_publish() does: @receipt is called exactly
 * once if it answers WARREN_OK, never otherwise. @texts is the job's arena: it may pass on what it
 * was given. Thread: the worker's.
 */
typedef enum warren_status job_publish_fn(struct warren_publisher *publisher,
                                          const struct warren_publish *what,
                                          const struct arena *texts, int64_t delay_ms,
                                          int64_t most_ms, warren_receipt_fn *receipt,
                                          void *receipt_user);

/** Takes what a job publishes in a transaction. As publisher_append(). */
typedef enum warren_status job_append_fn(struct warren_publisher *publisher,
                                         const struct warren_publish *what,
                                         const struct arena *texts, int64_t delay_ms,
                                         struct warren_outbox *outbox, struct warren_error *error);

struct pool;

/** The groups of functions that somebody has made: see job_group.h. All zero: none. */
struct group_owner {
    struct warren_group *first; /* the newest */
    uint32_t count;
};

/** What all jobs of a subscription have in common. Outlives them. */
struct job_source {
    const char *queue;
    const char *handler;     /* "PLUGIN.HANDLER" */
    job_publish_fn *publish; /* NULL: publishing answers WARREN_ECLOSED */
    job_append_fn *append;
    struct warren_publisher *publisher; /* for both; or what stands in for it */
    /* These two, and the relay, of an attempt that has no edition. */
    const struct warren_handler *definition; /* for its `key`; may be NULL */
    void *state;                             /* of the handler */
    struct clock *clock;
    uint64_t seed;                      /* of warren_job_seed() */
    const _Atomic int64_t *deadline_ms; /* by the clock, when draining must end; INT64_MAX: none */
    const atomic_bool *leaves;          /* the subscription ends, with nothing held; may be NULL */
    settlement_done_fn *settled;        /* called for a delivery whose receipts came later */
    /** Take a place among those held for a retry. @return false: there is none. May be NULL. */
    bool (*reserve)(void *user);
    void *user;
    const struct relay *relay;       /* NULL: nothing can be published in a delivery's place */
    bool broker_counts;              /* the broker's count of deliveries adds to the attempts */
    struct failure_groups *failures; /* where failed attempts are told of; NULL: nowhere */
    struct tracer *tracer;           /* NULL: there are no spans */
    struct pool *pool;               /* runs the functions of groups; NULL: there are none */
    struct semaphores *semaphores;   /* NULL: there are none */
    /** An attempt has given back what its subscription uses of them. Any thread; may be NULL. */
    void (*unweighed)(void *user);
};

/* The timer behind warren_job_cancel_fd(): it needs no loop, and jobs that do not ask pay nothing.
 */
struct job_alarm {
    pthread_mutex_t lock; /* guards all: draining moves the deadline from another thread */
    int fd;               /* a timerfd, kept from message to message; -1: nobody asked yet */
    bool in_use;          /* asked for in this attempt. Written by the worker alone */
};

struct warren_job {
    struct flight_worker *worker; /* of the flight recorder; NULL: there is none */
    const struct job_source *source;
    struct attempt *attempt;
    uint32_t forks; /* when it was made: a child of its handler has a copy */
    int64_t begun_ns;
    _Atomic int64_t limit_ms; /* of the attempt; INT64_MAX: none */
    int64_t retry_delay_ms;   /* asked for; -1: nothing */
    int64_t hold_max_ms;      /* a longer delay is not waited for here */
    bool has_run;             /* an attempt whose time is not counted yet */
    /* Of its chain, if that ran in a batch. */
    enum warren_outcome answer;

    /* From here to `properties`: all zero when an attempt begins. */
    struct settlement *settlement; /* NULL until the job publishes */
    int64_t retry_from_ms;         /* when the delay was asked for */
    struct warren_recovery *recovery;
    const char *traceparent; /* in the arena; NULL: none */
    const char *tracestate;
    job_reply_fn *on_reply; /* NULL: nobody asks */
    void *on_reply_user;
    job_transaction_fn *give_transaction; /* NULL: there is none to be had */
    job_leave_fn *leave_transaction;
    void *transaction_user;
    struct warren_outbox *outbox; /* of the transaction; NULL: what is published cannot be part */
    struct group_owner groups;
    struct warren_batch *batch; /* that it is in; NULL: none. See job_batch.h, also for these: */
    const struct warren_group *groups_before; /* the handler */
    enum warren_outcome batch_outcome;        /* its own, if it has one; and in the end */
    uint32_t batched;                         /* messages that the handler has got with it */
    bool has_outcome;
    bool joined;         /* its chain has come to the handler */
    bool parted;         /* the handler is done with it */
    const char *untaken; /* what the publisher did not take, for no fault of the message; NULL:
                            nothing. In the arena */
    const char *signal;  /* that ended the attempt; NULL: none. In the arena */
    const char *backtrace;
    bool in_transaction; /* the transaction was had */
    bool forgiven;
    bool duplicate; /* handled before */
    bool runs;      /* its chain does, on this thread: what it gets then is given back at the end */
    bool published; /* the publisher has taken something, and its receipt comes */
    bool decoded;
    bool history_known;
    bool late;   /* the attempt was over, and has failed after all: see returned_publish.h */
    bool traced; /* it has spans: attempt->trace */

    struct warren_properties properties; /* once decoded */
    struct history history;              /* once known */
    struct traceparent earlier;          /* if traced: of the attempt before, */
    bool has_earlier;                    /* if there was one */
    struct arena arena;
    struct job_alarm alarm;
    struct semaphore_hold hold;
    char reason[JOB_REASON_SIZE]; /* why it is rejected; "": the handler said so */
    char error[JOB_ERROR_SIZE];
};

/** NULL: no memory. @source is borrowed. */
struct warren_job *job_new(const struct job_source *source);
/** NULL is fine. */
void job_free(struct warren_job *job);

/** From now on the job is @attempt's (borrowed), begun at @begun_ns of the source's clock. */
void job_begin(struct warren_job *job, struct attempt *attempt, int64_t begun_ns);

/**
 * The chain answered @outcome: write it into the attempt and forget that.
 *
 * @return true: the delivery is settled; false: source->settled() will be called, perhaps by now
 */
bool job_end(struct warren_job *job, enum warren_outcome outcome);

/** The source's deadline has become an earlier one. Thread: any, at any time. */
void job_deadline_moved(struct warren_job *job);

/* ---- of the parts of a job, to each other ---- */

/** What can be published in the delivery's place goes there; NULL: nothing can. */
static inline const struct relay *job_relay_to(const struct warren_job *job)
{
    const struct edition *edition = job->attempt->edition;

    if (!edition)
        return job->source->relay;
    return edition->has_relay ? &edition->relay : NULL;
}

/** See job_stays_here(). */
void job_end_child(struct warren_job *job) __attribute__((noreturn));

/**
 * A handler forked, and its child came back from there as if it were the worker: end it, with a
 * line. Else it would wait for threads that are not in it, for ever, and hold on to the worker's
 * sockets.
 */
static inline void job_stays_here(struct warren_job *job)
{
    if (forked_since(job->forks))
        job_end_child(job);
}

/** Name queue, handler and message in a line of the log. */
void job_log_names(struct warren_job *job, struct log_line *line);
/** The message id with its length; data NULL: there is none. */
struct warren_bytes job_message_id(struct warren_job *job);

/**
 * The delivery's outcome is written, and is not success: hold it here, or publish a copy in its
 * place, or leave it to the loop to hand it back; see attempt->relay, retry_at_ms and reserved.
 */
void job_relay(struct warren_job *job);

/** The chain is about to run, and its attempt has what its subscription uses of semaphores. */
void job_hold_uses(struct warren_job *job);
/**
 * The thread is about to wait for a gate, and those that it waits for may wait for semaphores: what
 * the attempt has is given back; and taken again, for which the thread waits.
 */
void job_put_down_uses(struct warren_job *job);
void job_take_up_uses(struct warren_job *job);
/** It has run: what the job holds of semaphores is given back. */
void job_give_back(struct warren_job *job);

/**
 * The handler, or the whole chain, has answered @outcome: what it has not waited for of its groups
 * up to @until, which stays, is cancelled and waited for.
 *
 * @panics  whoever has called it can be unwound
 * @return  @outcome; or WARREN_RETRY, for it was WARREN_ACK, and something of them is left
 */
enum warren_outcome job_groups_ended(struct warren_job *job, const struct warren_group *until,
                                     enum warren_outcome outcome, bool panics);
/** The attempt is given up: all of them are cancelled and waited for. */
void job_groups_drop(struct warren_job *job);

void job_alarm_init(struct job_alarm *alarm);
void job_alarm_done(struct job_alarm *alarm);
/** The attempt is over: warren_job_cancel_fd() shall not become readable any more. */
void job_alarm_rest(struct job_alarm *alarm);

/**
 * The handler failed. If that is so because the publisher could take nothing, the attempt is
 * forgiven, and the next one waits for a while.
 */
void job_forgive_unpublished(struct warren_job *job);

/** Headers with a trace context added. */
struct job_traced {
    struct warren_message message;
    struct warren_field few[16]; /* in most cases enough */
    struct warren_field *many;   /* else; NULL */
};

/**
 * @message as the job may publish it: with @traceparent and the job's tracestate, unless it has a
 * traceparent of its own. Refers to @message, to @traceparent and to the job.
 *
 * @traceparent  NULL: as it is
 * @return       WARREN_OK; WARREN_ENOMEM
 */
enum warren_status job_trace(const struct warren_job *job, const char *traceparent,
                             const struct warren_message *message, struct job_traced *traced);
/** The traceparent that @message has by itself, or NULL. */
const struct warren_value *job_trace_own(const struct warren_job *job,
                                         const struct warren_message *message);
/** When it is published. */
void job_traced_done(struct job_traced *traced);

#endif
