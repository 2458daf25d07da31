/* middleware.h - the contract of the chain around a handler, and of your own middlewares.
 *
 * A chain is an array of links, the handler last. A link gets the job and the next link; it calls
 * warren_next() at most once and may change the outcome that comes back. Only settlement talks to
 * the broker. Nothing is allocated and nothing is locked to walk the chain.
 *
 * warren's own, outermost first: log, trace, retry, breaker, rate_limit, idempotency, deadline,
 * recover. The
 * worker's YAML says for each subscription which of them stand in its chain, in which order, and
 * with which options. Yours come from a plugin: list them as `middlewares` in WARREN_PLUGIN() and
 * name them PLUGIN.MIDDLEWARE in the YAML.
 *
 * Where a handler gets many messages at once (batch.h), each of them has its chain as always. They
 * are inside of each other: `call` of the second message begins, on the same thread, when that of
 * the first has called warren_next(), and so on; the handler is called in the innermost one. So
 * `call` must not hold a lock over warren_next() that another message's would wait for, nor take
 * what a thread has once for its own.
 *
 * NULL in place of a job or a passage is not looked for. fork(2): as for a handler; in a child the
 * functions of a passage do nothing.
 * Elsewhere: handlers and jobs (handler.h).
 */
#ifndef WARREN_MIDDLEWARE_H
#define WARREN_MIDDLEWARE_H

#include <setjmp.h>

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One link of a chain: a function and what it works on. */
struct warren_link {
    enum warren_outcome (*call)(struct warren_job *job, const struct warren_link *next,
                                void *state);
    void *state;
    unsigned place; /**< warren's own: where warren_job_mark() finds the mark. Since: 0.1 */
};

/** Run the rest of the chain for @job. Thread: the worker's that runs it. Since: 0.1. */
static inline enum warren_outcome warren_next(struct warren_job *job,
                                              const struct warren_link *next)
{
    return next->call(job, next + 1, next->state);
}

/** One message between its arrival and its settlement. Opaque. */
struct warren_passage;

/**
 * One middleware. A table of these ends with a row whose name is NULL. It is opened once for each
 * subscription that has it in its chain. Any member but the name may be NULL; without `call` it
 * only governs admission.
 */
struct warren_middleware {
    const char *name;
    const char *help;                    /**< one sentence */
    const struct warren_option *options; /**< as a handler's; NULL: takes none */

    /** As a handler's `open`; @info->options are the middleware's own. */
    enum warren_status (*open)(const struct warren_subscription_info *info, void **state,
                               struct warren_error *error);

    /** Called once an attempt, on any of `concurrency` worker threads at once. */
    enum warren_outcome (*call)(struct warren_job *job, const struct warren_link *next,
                                void *state);

    /**
     * Admission: how many of @want messages may go to the workers now. What is not admitted waits
     * in the prefetch window, unhandled; no worker thread waits with it.
     *
     * @now_ms        monotonic milliseconds
     * @ret_retry_ms  written if fewer than @want may go: ask again after this time, at least 1. It
     *                is asked sooner when a message of the subscription was handled, and once a
     *                second in any case
     * @return        0 to @want. Nothing is reserved: `took` says how many really went
     * Thread: the event loop's; must not block.
     */
    uint32_t (*may)(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms);

    /**
     * @count messages were admitted. Some may never reach `call`: those whose channel is lost
     * before, and those handed back when the worker drains.
     *
     * Thread: the event loop's, right after `may`.
     */
    void (*took)(void *state, uint32_t count, int64_t now_ms);

    /**
     * A reload, and an option differs: @options are those of the file as it is now, and live until
     * `close`. NULL: it is opened anew in place of it, as for `fixed`. Thread: main; others may
     * run.
     */
    void (*reload)(void *state, const struct warren_options *options);

    /** Called once, on the main thread, after the last `call` returned. */
    void (*close)(void *state);

    /**
     * Ahead of the workers: a message was admitted, and no worker has it yet. What must be asked
     * elsewhere, such as of a disk, is awaited here without a worker; messages go on in the order
     * in which they came, so one that waits holds those behind it. A message that comes again,
     * after a failed attempt, is shown again. A middleware has this and `after`, or neither. Those
     * of a chain that have them are asked outermost first, each when the one before it lets the
     * message go on.
     *
     * @job       to be read: message, properties, warren_job_key()
     * @passage   names the message until `after` is called
     * @ret_mark  to be written before the answer may come: what warren_job_mark() returns in this
     *            middleware's `call`; NULL, as it is: its `after` will not be called
     * @return    true: go on; false: not before warren_passage_go()
     *
     * A worker that drains does not wait for the answer: the message goes back to the broker, and
     * `after` is called if there is a mark. An answer that comes then, up to `close`, is harmless.
     * A crash in it costs the process, and is known to be this message's: after crash.max_attempts
     * more of them it is a dead letter, and not shown any more.
     * Thread: the event loop's; must not block. Since: 0.1.
     */
    bool (*before)(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark);

    /**
     * Behind the workers: the outcome of a message with a mark is final, and what it published is
     * confirmed. Called once for each mark; also for a message that no worker took, because it is
     * handed back, perhaps before its `before` was answered, or its channel was lost: with
     * WARREN_REQUEUE, and NULL in place of @passage.
     * Those of a chain are called innermost first, as `call` returns, each with the outcome that
     * the one before it left.
     *
     * @mark   of this middleware
     * @return true: settle it; false: not before warren_passage_settle(). Without @passage the
     *         answer does not matter
     * Thread: any; must not block. Since: 0.1.
     */
    bool (*after)(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                  void *state);

    /**
     * Do @options, each of which its table allows, go together? Asked before `open`; and at SIGHUP
     * before any `reload`: if not, nothing of the file is taken over. NULL: they always do.
     *
     * @return  WARREN_OK; WARREN_ECONFIG with @error
     * Thread: main. Since: 0.1.
     */
    enum warren_status (*check)(const struct warren_options *options, struct warren_error *error);

    /**
     * A job's messages are confirmed after the chain has returned. If the broker refuses one for
     * good, the attempt has failed after all: `call` of the middlewares with this flag is run once
     * more then, with a rest of the chain that answers WARREN_RETRY, and warren_job_error() that
     * says what was refused. For those that decide about failed attempts, or report them: of
     * warren's own log, trace and retry. Since: 0.1.
     */
    bool late_failures;

    /** Names of options that `reload` does not change, separated by |; NULL: none. Since: 0.1. */
    const char *fixed;
};

/**
 * The message for which `before` returned false may go on. Once; of no effect if it was handed back
 * meanwhile. Thread: any. Since: 0.1.
 */
WARREN_API void warren_passage_go(struct warren_passage *passage);
/**
 * The message for which `after` returned false is to be settled with @outcome, once the `after` of
 * middlewares further out agree. Once; @passage is gone.
 *
 * @outcome  what `after` was given, or WARREN_REQUEUE. What is made only of an attempt's own
 *           outcome is not made any more: a count, a delay, or a dead letter of warren's
 * Thread: any. Since: 0.1.
 */
WARREN_API void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome);
/**
 * The same with WARREN_RETRY, for no fault of the message: it comes again in @delay_ms, and the
 * attempt does not count. It waits in the prefetch window, so keep the delay below the broker's
 * consumer time-out; one below 0 is 0, one above 15 minutes is 15 minutes. Since: 0.1.
 */
WARREN_API void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms);

/** For a plugin that has some: WARREN_PLUGIN(.name = "mine", WARREN_MIDDLEWARES(table)). */
#define WARREN_MIDDLEWARES(table)                                                                  \
    .middlewares = (table), .middleware_size = sizeof(struct warren_middleware)

/* ---- what a middleware may ask and set of a job, besides handler.h ---- */

/** The delay that warren_job_retry_after() set in this attempt, in ms; -1: none. */
WARREN_API int64_t warren_job_retry_delay_ms(const struct warren_job *job);

/** How many messages the handler got at once, with this one, in this attempt; 0: it was given none,
 * or only one at a time. Since: 0.1. */
WARREN_API size_t warren_job_batched(const struct warren_job *job);

/** Do not count this attempt: warren_job_attempt() will be the same in the next one. */
WARREN_API void warren_job_forgive(struct warren_job *job);
/** Whether warren_job_forgive() was called in this attempt. */
WARREN_API bool warren_job_forgiven(const struct warren_job *job);

/** The handler is not run in this attempt, for the message was handled before: so the log shall
 * say.
 */
WARREN_API void warren_job_duplicate(struct warren_job *job);
/** Whether warren_job_duplicate() was called in this attempt. */
WARREN_API bool warren_job_is_duplicate(const struct warren_job *job);

/**
 * Say in one word why the message is rejected, for its dead letter (x-warren-reason); copied, at
 * most 31 bytes. Without it that is "rejected". Since: 0.1.
 */
WARREN_API void warren_job_reason(struct warren_job *job, const char *reason);

/**
 * Delays above @ms are not waited for here: the message goes back to the broker, with its attempts
 * counted, and comes again in time. 30 seconds if nobody says. Since: 0.1.
 */
WARREN_API void warren_job_hold_max(struct warren_job *job, int64_t ms);

/**
 * Monotonic milliseconds when the first attempt began; if an earlier process failed, when its first
 * attempt ended, by the wall clock.
 */
WARREN_API int64_t warren_job_first_ms(const struct warren_job *job);

/**
 * A number for randomness, such as that of a delay: the same in all attempts in this process,
 * another for each message, and the same again when a test is repeated (testing.h). Since: 0.1.
 */
WARREN_API uint64_t warren_job_seed(const struct warren_job *job);

/** The attempt's time limit, in monotonic milliseconds: the earlier of this and what was set. */
WARREN_API void warren_job_limit(struct warren_job *job, int64_t until_ms);

/**
 * Give the handler up if it has not returned by @until_ms, in monotonic milliseconds: where it is
 * is logged, its thread never continues, the attempt has failed, and the process drains and
 * executes itself again (warren_worker_run() returns WARREN_ETAINTED in a program of your own). The
 * earlier of this and what was set. Since: 0.1.
 */
WARREN_API void warren_job_hard_limit(struct warren_job *job, int64_t until_ms);

/** The worker's monotonic clock, in milliseconds; the one that admission is asked with. */
WARREN_API int64_t warren_job_now_ms(const struct warren_job *job);

/**
 * What the caller's own `before` wrote for this message.
 *
 * @next    as `call` was given it: it shows whose mark is meant
 * @return  NULL: nothing, or there is no `before`
 */
WARREN_API void *warren_job_mark(const struct warren_job *job, const struct warren_link *next);

/** What the handler's `key` says; empty without one. Valid until the job ends. Since: 0.1. */
WARREN_API struct warren_bytes warren_job_key(struct warren_job *job);

/** Where warren_panic() unwinds to. On the stack of a middleware, while it calls the next link. */
struct warren_recovery {
    jmp_buf at;
    struct warren_recovery *outer;
};

/**
 * From now on warren_panic() jumps to @recovery->at, on which the caller has called setjmp(); until
 * warren_job_unguard(). They nest. Before it jumps, warren_panic() has done the unguarding; to do
 * it again is harmless.
 */
WARREN_API void warren_job_guard(struct warren_job *job, struct warren_recovery *recovery);
WARREN_API void warren_job_unguard(struct warren_job *job, struct warren_recovery *recovery);

/**
 * The W3C trace context of the job: put into the headers of whatever it publishes, and into its
 * log lines. Texts are copied. NULL takes it away.
 */
WARREN_API void warren_job_set_trace(struct warren_job *job, const char *traceparent,
                                     const char *tracestate);
/** "" if there is none. */
WARREN_API const char *warren_job_traceparent(const struct warren_job *job);

#ifdef __cplusplus
}
#endif
#endif
