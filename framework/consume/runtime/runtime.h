/* runtime.h - consume: a connection, its topology and all subscriptions, on a thread of their own.
 *
 *   runtime_new > runtime_start > ... runtime_stop > drain > `stopped` > runtime_free
 *
 * Draining: ask the broker to send no more, hand back what no handler has begun, wait for the
 * handlers that run, send all acks, a round trip to know that they arrived, close. Without a
 * connection only the handlers are waited for: the broker has everything back already.
 * Elsewhere: which handlers there are (plugin/), signals and log lines (app/).
 */
#ifndef WARREN_CONSUME_RUNTIME_H
#define WARREN_CONSUME_RUNTIME_H

#include <warren/middleware.h>
#include <warren/publisher.h>

#include "amqp/connection/connection.h"
#include "amqp/consumer/stream_offsets.h"
#include "config/config.h"
#include "consume/attempt/attempt.h"
#include "consume/job/chain.h"
#include "consume/job/failure_groups.h"
#include "consume/order/lane_share.h"

/** Good for runtime_options.depth_period_ms. */
#define DEPTH_PERIOD_MS 15000

struct edition;
struct runtime;
struct subscription;
struct tracer;

/** One subscription. Strings, handler, state and table are borrowed until runtime_free(), or until
 * a change has put others in their place, and its edition is retired. */
struct runtime_subscription {
    const char *queue;
    const char *handler_name; /* "PLUGIN.HANDLER" */
    const struct warren_handler *handler;
    void *state;                            /* of the handler's `open` */
    const struct chain_member *middlewares; /* outermost first; copied */
    size_t middleware_count;
    uint32_t delayed_max; /* messages held for a retry at once, above which the broker gets them
                             back at once; 0: half of the prefetch, at least 1 */
    uint16_t prefetch;
    size_t prefetch_bytes;      /* 0: no bound */
    uint32_t concurrency;       /* worker threads, at least 1 */
    uint32_t concurrency_least; /* as few of them when there is little to do; 0: always as many */
    int64_t target_wait_ms;     /* then: a wait for a thread above which there are to be more */
    const char *executor; /* the threads are those of that name, of which it takes `concurrency` at
                             most; NULL: it has its own. As the next two, it does not change */
    uint32_t executor_threads;
    uint32_t share;                       /* of these, its own when it needs them; at least 1 */
    const struct warren_table *arguments; /* of basic.consume; may be NULL */
    const struct config_use *uses; /* of semaphores, while a message is handled; borrowed until the
                                      edition is made */
    size_t use_count;
    const char *dead_exchange; /* where what is rejected is published; NULL: it is rejected at the
                                  broker */
    const char *dead_queue;    /* bound to it; for the log. May be NULL */
    bool is_stream;            /* the queue; nothing is put back into it, */
    stream_begin begin;        /* and it is consumed from there */
    bool stop_at_gap;          /* see `gap` */
    const struct config_order *order; /* NULL: messages are in none. Does not change */
    const struct config_fair *fair;   /* NULL: keys are not known. Does not change */
    const struct config_lanes *lanes; /* of which it is one; NULL: none. Does not change; so does */
    enum lane lane;
    const struct config_shards *shards; /* of which it is one; NULL: none. Does not change, nor */
    uint32_t shard;
    const struct config_batch *batch; /* NULL: each alone. Borrowed until the edition is made */
    void *token;                      /* of its edition: see `retired` */
};

struct runtime_options {
    const struct connection_options *connection; /* copied */
    const struct config_topology *topology;      /* borrowed until runtime_free() */
    const struct runtime_subscription *subscriptions;
    size_t subscription_count;
    size_t message_max;        /* bytes of a body; a larger one is rejected */
    size_t memory_max;         /* bytes of all unsettled deliveries: above, reading stops; resumes
                                  below 3/4; 0: no bound */
    uint32_t straggler_age_ms; /* longest wait of an ack behind a message that is not done */
    uint32_t drain_timeout_ms; /* all of draining */
    struct flight *flight;     /* recorder; NULL: none. Borrowed until runtime_free() */
    struct tracer *tracer;     /* takes spans; NULL: there are none. Borrowed */
    uint32_t group_threads;    /* threads for functions of groups; 0: none */
    const struct config_semaphore *semaphores; /* copied */
    size_t semaphore_count;
    uint32_t depth_period_ms; /* how often the broker is asked how full the queues are; 0: never */
    struct warren_publisher *publisher; /* for jobs; NULL: they cannot publish. Borrowed: close it
                                           before runtime_free() */
};

/** A copy that should stand in a message's place. */
struct runtime_unrelayed {
    const char *queue;              /* that the message came from */
    struct warren_bytes message_id; /* data NULL: it has none */
    bool dead;            /* it goes to the dead-letter exchange, else into its queue again */
    const char *exchange; /* that; "": the queue itself, or a delay queue, */
    const char *target;   /* and the queue behind it; may be NULL */
    const char *why;      /* such as "returned (312)" */
    int64_t retry_ms;     /* until it is tried again; -1: it is handed back */
    uint32_t waiting;     /* messages that wait for their copy, this one included */
};

/** How the shards of an exchange are shared out. */
struct runtime_spread {
    const char *exchange;
    uint32_t shards;
    uint32_t mine;    /* that are to be this worker's */
    uint32_t workers; /* that share them; 0: that cannot be seen, and each waits for all of them */
};

/** The least time between two reports of copies that failed. */
#define RUNTIME_TELL_MS 10000

/** Events for the owner, on the runtime's thread. Any may be NULL. Do not block. */
struct runtime_events {
    void (*connected)(void *user, const char *where, const char *server);
    /** Lost, or it could not be made. */
    void (*lost)(void *user, const struct connection_loss *loss);
    /** It is open, but allows fewer channels than are needed: subscriptions wait for one. */
    void (*few_channels)(void *user, uint32_t needed, uint32_t allowed);
    /** Declaring takes longer than a second: @done of @total items were answered. */
    void (*declaring)(void *user, size_t done, size_t total);
    /** The broker refused an item of the topology. */
    void (*refused)(void *user, const char *item, uint16_t code, const char *text);
    /** A queue that was not declared as the topology has it, or at all, gives a message up that it
     *  took back @limit times. Once for each. NULL: nobody asks. */
    void (*limited)(void *user, const char *queue, int64_t limit);
    /**
     * A stream begins at @offset, and not at @expected, for its retention removed what was between
     * them. With stop_at_gap nothing of the stream is handled any more: runtime_stop() is due.
     */
    void (*gap)(void *user, const char *queue, uint64_t expected, uint64_t offset);
    void (*consuming)(void *user, const char *queue);
    void (*interrupted)(void *user, const char *queue, const char *reason, uint32_t retry_ms);
    /** Shards are shared out otherwise than before, or the first time. */
    void (*spread)(void *user, const struct runtime_spread *spread);
    /** A body above message_max, or headers nested too deeply: rejected. */
    void (*unfit)(void *user, const char *queue, const struct delivery *without_body,
                  const char *why, uint64_t body_size);
    /** A message is tried again, and its attempt forgiven, because one that its job published was
     * not confirmed: attempt->unpublished. */
    void (*unconfirmed)(void *user, const char *queue, const struct attempt *attempt);
    /** A copy was not confirmed: nothing is lost, and it is tried again. At most once in
     * RUNTIME_TELL_MS, for each subscription and each kind of copy. */
    void (*unrelayed)(void *user, const struct runtime_unrelayed *what);
    /** After that one was confirmed, and no message of @queue waits for its copy any more. */
    void (*relayed)(void *user, const char *queue);
    /** memory_max was reached, or undercut again; for the time since the last call @times times. */
    void (*memory)(void *user, bool full, size_t bytes, uint32_t times);
    /** Draining has begun: @handed_back were not begun, @running are waited for. */
    void (*draining)(void *user, uint32_t handed_back, uint32_t running);
    /**
     * After runtime_change(): the last attempt of an edition has ended. Handler and middlewares
     * that it was the last to use are to be closed, on another thread, and then it is freed by
     * runtime_edition_free().
     *
     * @token  of the struct runtime_subscription that made it
     */
    void (*retired)(void *user, void *token, struct edition *edition);
    /**
     * The end; called once. WARREN_OK; WARREN_ETIMEOUT: drain_timeout_ms was over while
     * @unfinished deliveries were not settled (or the broker did not answer), they went back to
     * the broker; WARREN_ECLOSED: runtime_abort(). runtime_free() may follow, on another thread.
     */
    void (*stopped)(void *user, enum warren_status status, uint32_t unfinished);
};

/** Channels that a runtime needs on its connection. */
uint32_t runtime_channels(const struct config_topology *topology, size_t subscription_count);

/**
 * Everything but the connection itself: worker threads are started, files of TLS read.
 *
 * @return WARREN_OK; WARREN_ENOMEM, WARREN_EIO, WARREN_ECONFIG, WARREN_EINVAL with @error
 */
enum warren_status runtime_new(const struct runtime_options *options,
                               const struct runtime_events *events, void *user,
                               struct runtime **ret_runtime, struct warren_error *error);
/** Start the thread and connect, for ever. WARREN_OK, or WARREN_EIO with @error. */
enum warren_status runtime_start(struct runtime *runtime, struct warren_error *error);
/**
 * Begin to drain. Harmless to repeat, and due when the flight recorder says that the thread of a
 * handler is lost: it goes on without its delivery then. Only after runtime_start(). Thread: any.
 */
void runtime_stop(struct runtime *runtime);
/** End at once: drop the connection, wait for nothing. Only after runtime_start(). Thread: any. */
void runtime_abort(struct runtime *runtime);
/** Wait for the end of the runtime's thread, which comes after `stopped`. Harmless to repeat. */
void runtime_join(struct runtime *runtime);

/**
 * Never started, or after `stopped`: no thread of it is left, but all memory, for a plugin's own
 * thread may be in the last instructions of warren_passage_go(). So middlewares are closed between
 * this and runtime_free(). What a handler still holds is left alone: its thread and its
 * subscription stay until the process ends. NULL is fine.
 */
void runtime_rest(struct runtime *runtime);
/** The same, and free it. NULL is fine. */
void runtime_free(struct runtime *runtime);

/** What is counted since the start. */
enum runtime_count {
    COUNT_DELIVERED,
    COUNT_REDELIVERED,
    COUNT_RETRIED,       /* held here for another attempt; settled only by the last one */
    COUNT_STALE,         /* of a lost channel: dropped, the broker delivers them again */
    COUNT_UNCONFIRMED,   /* attempts that failed because a publish of the job did */
    COUNT_DEAD_LETTERED, /* copies in the dead-letter exchange, confirmed */
    COUNT_RELAYED,       /* copies in their queue, with the attempts counted */
    COUNT_UNRELAYED,     /* copies that were not confirmed: each is tried again */
    COUNT_UNFIT,         /* rejected unread: too large, or nested too deeply */
    COUNT_SETTLED,       /* and behind it the others of enum warren_outcome; handed back included */
    COUNTS = COUNT_SETTLED + WARREN_REQUEUE + 1
};

struct runtime_stats {
    uint64_t counts[COUNTS];
    uint64_t connects; /* connections that reached the broker */
    uint32_t running;  /* in a handler now */
    uint32_t queued;   /* delivered, not begun */
    uint32_t held;     /* delivered, not queued: until a gate opens, or a retry or a copy is due */
    bool consuming;    /* all of them: the broker sends */
};

/** All subscriptions together. Thread: any, until runtime_free(). */
void runtime_stats(struct runtime *runtime, struct runtime_stats *stats);
/** That at @index of the options. It stays, if only for the next two, until runtime_free(). */
struct subscription *runtime_subscription(const struct runtime *runtime, size_t index);
/** On a stream: where the next process is to begin. Thread: as above. */
stream_begin runtime_subscription_begin(const struct subscription *subscription);
/** What failed lately. Thread: as above. */
struct failure_groups *runtime_failures(struct runtime *runtime);
/** One of them; connects is 0. Thread: as above. */
void runtime_subscription_stats(struct subscription *subscription, struct runtime_stats *stats);

/* ---- while it runs ---- */

enum runtime_change_kind {
    RUNTIME_ADD,
    RUNTIME_CHANGE,
    RUNTIME_REMOVE /* it drains as at the end, without a time limit */
};

struct runtime_change {
    enum runtime_change_kind kind;
    struct subscription *subscription;       /* of ADD: written */
    const struct runtime_subscription *what; /* of ADD and CHANGE: queue, handler_name, is_stream
                                                begin, order, fair, lanes and shards do not
                                                change */
    bool other_edition;                      /* of CHANGE: handler, state, middlewares, dead letters
                                                or concurrency differ: a new edition, with the token
                                                of `what` */
    bool other_arguments;                    /* of CHANGE, and not of a stream */
};

/** All of it. What is borrowed by struct runtime_options is so here. */
struct runtime_changes {
    struct runtime_change *items;
    size_t count;
    const struct config_topology *topology; /* NULL: that of before */
    size_t message_max;                     /* as in runtime_options, and so on */
    size_t memory_max;
    uint32_t straggler_age_ms;
    uint32_t group_threads;
    const struct config_semaphore *semaphores; /* all that there are to be */
    size_t semaphore_count;
};

/**
 * Make all changes at once, between two turns of the loop; or none. Attempts that run end in their
 * edition. The topology is declared again before those that are added consume. Waits for the loop.
 * Thread: main, after runtime_start().
 *
 * @return WARREN_OK; WARREN_ECLOSED: it drains; WARREN_ETIMEOUT: the loop does not turn; as
 *         runtime_new(). With @error
 */
enum warren_status runtime_change(struct runtime *runtime, struct runtime_changes *changes,
                                  struct warren_error *error);
/** Of `retired`. NULL is fine. Thread: any. */
void runtime_edition_free(struct edition *edition);

#endif
