/* handler.h - the contract between warren and a handler plugin.
 *
 * A plugin is a .so with one entry function, made by WARREN_PLUGIN(). It names its handlers; the
 * worker's YAML file says which queue goes to which handler. For each message of that queue the
 * handler's `handle` runs on a worker thread and answers with an outcome; or `handle_batch` does
 * for many of them at once (batch.h).
 *
 * Compile with `cc -fPIC -shared $(pkg-config --cflags warren)`: the functions below are found in
 * the program that loads the plugin, so there is nothing to link.
 *
 * Thread: unless a comment says otherwise, a function that takes a job may be called only by the
 * thread that is running `handle` for that job, and only until `handle` returns. In a receipt's
 * callback there is no job. NULL in place of a job, its options or its info is not looked for; in
 * place of a message to publish it is WARREN_EINVAL.
 *
 * fork(2): a child that a handler makes has a copy of the job. It can read it, and what it sets is
 * of no consequence. What is shared with the parent it does not touch: publishing answers
 * WARREN_ECLOSED, and there is neither warren_job_cancel_fd() (-1) nor a transaction (NULL). It
 * ends by _exit(2) or execve(2); to return from `handle`, or to panic out of it, is the parent's.
 * Elsewhere: messages and their headers (message.h), middlewares (middleware.h), the transaction of
 * a handler that writes where the worker remembers (the header of that database).
 */
#ifndef WARREN_HANDLER_H
#define WARREN_HANDLER_H

#include <warren/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a handler answers ---- */

/** What shall become of the message. Zero is success, as everywhere in C. */
enum warren_outcome {
    WARREN_ACK = 0, /**< the effect is durable: take the message off the queue */
    WARREN_RETRY,   /**< a failed attempt: deliver again */
    WARREN_REJECT,  /**< it will never succeed: dead-letter now. With dead_letter.enabled false the
                         broker does that, or drops it if the queue has no dead-letter exchange */
    WARREN_DISCARD, /**< take it off the queue without effect */
    WARREN_REQUEUE  /**< hand back without blame, such as at shutdown; not a failed attempt */
};

/** One message being handled. Opaque; lives until `handle` returns. */
struct warren_job;

/** Messages that are handled together: see batch.h. Opaque; lives until `handle_batch` returns. */
struct warren_batch;

/** The subscription of an `open`. Opaque; as long-lived as the info that names it. */
struct warren_subscription;

/* ---- options of a handler ---- */

/** The type of an option's value, and how it is written in YAML. */
enum warren_option_type {
    WARREN_OPTION_BOOL = 1, /**< true or false */
    WARREN_OPTION_INT,      /**< a whole number */
    WARREN_OPTION_SIZE,     /**< bytes: 512, 64KiB, 16MiB, 1GiB */
    WARREN_OPTION_DURATION, /**< 250ms, 30s, 5m, 2h, 7d; kept in milliseconds */
    WARREN_OPTION_STRING,   /**< text */
    WARREN_OPTION_PATH,     /**< a file name; a relative one is relative to the YAML file */
    WARREN_OPTION_ENUM,     /**< one of the words in @choices, separated by | */
    WARREN_OPTION_LIST      /**< a list of texts; a single text is a list of one */
};

/**
 * One option. A table of these ends with a row whose name is NULL. The host checks the YAML
 * against the table before `open` runs; an unknown name or a value out of range is a
 * configuration error with file, line and the nearest name.
 */
struct warren_option {
    const char *name;
    enum warren_option_type type;
    const char *fallback; /**< the default, written as in YAML; NULL: the option must be given */
    int64_t min;          /**< INT, SIZE (bytes), DURATION (ms): lowest; both 0 means any */
    int64_t max;          /**< and highest */
    const char *choices;  /**< ENUM: "info|debug" */
    const char *help;     /**< one sentence for the reference page */
};

/** The checked values of one subscription's `options:`. Lives from `open` to `close`. */
struct warren_options;

/**
 * Read the value of one option. The name must be in the handler's table with a fitting type:
 * asking for another is a programmer's mistake and aborts with a message that names it.
 *
 * Thread: any. Ownership: the result lives as long as @options. Since: 0.1.
 */
WARREN_API bool warren_options_bool(const struct warren_options *options, const char *name);
/** INT, SIZE (bytes) or DURATION (milliseconds). */
WARREN_API int64_t warren_options_int(const struct warren_options *options, const char *name);
/** STRING, PATH or ENUM. */
WARREN_API const char *warren_options_text(const struct warren_options *options, const char *name);
/** LIST: an array of @count texts; NULL when empty. */
WARREN_API const char *const *warren_options_list(const struct warren_options *options,
                                                  const char *name, size_t *count);

/* ---- a handler and a plugin ---- */

/** What `open` learns about the subscription it opens for. Lives until `close` returns. */
struct warren_subscription_info {
    const char *queue;
    const char *handler;  /**< "PLUGIN.HANDLER" */
    uint32_t concurrency; /**< how many threads may be in `handle` at once */
    const struct warren_options *options;
    bool dead_letters; /**< what is rejected goes to a dead-letter queue; it is not dropped */
    const struct warren_handler *definition; /**< the handler's own row. Since: 0.1 */
    int64_t ack_timeout_ms; /**< then the broker takes an unsettled message back; 0: not known.
                                 Since: 0.1 */

    /** For functions that take the info, such as those of a database's own header; NULL in an info
     * that warren did not make. Since: 0.1 */
    const struct warren_subscription *subscription;

    void *user; /**< that of the descriptor of the plugin whose `open` this is. Since: 0.1 */
};

/**
 * One handler. A table of these ends with a row whose name is NULL.
 * `open` and `close` may be NULL; then state is NULL.
 */
struct warren_handler {
    const char *name;
    const char *help; /**< one sentence, shown by `warren handlers`; may be NULL */
    const struct warren_option *options; /**< may be NULL: takes none */

    /**
     * Once a subscription, and again where a reload needs it: main thread, before its messages.
     * @state   what `handle` and `close` will be given
     * @error   text for the operator, written on failure
     * @return  WARREN_OK, or anything else: the worker does not start
     */
    enum warren_status (*open)(const struct warren_subscription_info *info, void **state,
                               struct warren_error *error);

    /**
     * Called once an attempt, on any of `concurrency` worker threads at once. With a
     * concurrency above 1, @state must bear that. May be NULL, if there is `handle_batch`.
     */
    enum warren_outcome (*handle)(struct warren_job *job, void *state);

    /** Called once, on the main thread, after the last `handle` returned. */
    void (*close)(void *state);

    /** Called on the main thread on SIGHUP, while `handle` may run: reopen files. May be NULL. */
    void (*reopen)(void *state);

    /**
     * What makes this message the same as another one, for the middleware idempotency with `key:
     * handler`: such as a number in the body. Nothing but @job and @state may be touched.
     *
     * @return in the message, or in memory of warren_job_alloc(); of length 0: it has none. A crash
     *         in it costs the process, and is known to be this message's: after crash.max_attempts
     *         more of them it is a dead letter, and `key` is not called for it
     * Thread: the event loop's, at once with `handle`: be quick. May be NULL. Since: 0.1.
     */
    struct warren_bytes (*key)(struct warren_job *job, void *state);

    /**
     * Its effect is what it writes in a transaction of the worker's store, together with the key of
     * the message: the header of that database says how. The subscription must have the middleware
     * idempotency in its chain, or the worker does not start. Since: 0.1.
     */
    bool transactional;

    /**
     * Called in place of `handle` where the subscription has `batch:`, or where there is no
     * `handle`: then with one message at a time, without `batch:`. On any of `concurrency` worker
     * threads at once. Of its jobs all is true that is said of `handle`. See batch.h.
     *
     * @return what shall become of all messages for which warren_batch_set() has said nothing else.
     *         May be NULL, if there is `handle`. Since: 0.1
     */
    enum warren_outcome (*handle_batch)(struct warren_batch *batch, void *state);
};

/** Raised whenever a struct or a function of these headers changes, other than that a struct grows
 * at its end or a function is added. A plugin of another number is not loaded: compile it anew. */
#define WARREN_PLUGIN_ABI 2

struct warren_middleware;

/** What the entry function returns. The host reads only @size bytes of it. */
struct warren_plugin {
    uint32_t abi;          /**< WARREN_PLUGIN_ABI of the header it was compiled with */
    uint32_t size;         /**< sizeof(struct warren_plugin) there */
    uint32_t handler_size; /**< sizeof(struct warren_handler) there */
    uint32_t option_size;  /**< sizeof(struct warren_option) there */
    const char *name;      /**< the PLUGIN of "PLUGIN.HANDLER": letters, digits, - and _ */
    const char *version;
    const struct warren_handler *handlers;       /**< NULL: none */
    const struct warren_middleware *middlewares; /**< see middleware.h; NULL: none */
    uint32_t middleware_size;                    /**< sizeof(struct warren_middleware) there */
    void *user; /**< of a plugin that a program has inside: the program's own, which `open` of its
                     handlers and middlewares finds as info->user. Since: 0.1 */
};

/** The symbol that the host looks up. */
#define WARREN_PLUGIN_ENTRY "warren_plugin_entry"

/**
 * A descriptor for a program that has its handlers inside, in place of a plugin's file; such as one
 * of warren_worker_options.plugins:
 *
 *     struct warren_plugin plugin =
 *         WARREN_PLUGIN_INIT(.name = "shop", .handlers = handlers, .user = shop);
 */
#define WARREN_PLUGIN_INIT(...)                                                                    \
    {                                                                                              \
        .abi = WARREN_PLUGIN_ABI, .size = sizeof(struct warren_plugin),                            \
        .handler_size = sizeof(struct warren_handler),                                             \
        .option_size = sizeof(struct warren_option), __VA_ARGS__                                   \
    }

/**
 * Defines the entry function. Use once in a plugin:
 *
 *     WARREN_PLUGIN(.name = "payments", .version = "1.2.0", .handlers = handlers)
 */
#ifdef __cplusplus
#define WARREN_EXTERN_C extern "C"
#else
#define WARREN_EXTERN_C
#endif
#define WARREN_PLUGIN(...)                                                                         \
    WARREN_EXTERN_C WARREN_API const struct warren_plugin *warren_plugin_entry(void);              \
    const struct warren_plugin *warren_plugin_entry(void)                                          \
    {                                                                                              \
        static const struct warren_plugin plugin = WARREN_PLUGIN_INIT(__VA_ARGS__);                \
        return &plugin;                                                                            \
    }

/* ---- reading the message ---- */

/** The body; zero length is allowed. Valid until `handle` returns. Since: 0.1. */
WARREN_API struct warren_bytes warren_job_body(const struct warren_job *job);

/**
 * All basic properties and headers, decoded at the first call and kept in scratch memory.
 *
 * @return never NULL; all-absent if memory ran out
 */
WARREN_API const struct warren_properties *warren_job_properties(struct warren_job *job);

/**
 * A text that the functions around this one gave, with its length: a property, a header's name at
 * any depth, exchange or routing key. It may hold a NUL, where the C string ends; see message.h.
 *
 * @return  of any other text its bytes up to the first NUL; NULL and 0 of NULL. Valid as @text is.
 *          Since: 0.1
 */
WARREN_API struct warren_bytes warren_job_text(const struct warren_job *job, const char *text);

/** The value of the header of exactly this name, or NULL. Valid until `handle` returns. */
WARREN_API const struct warren_value *warren_job_header(struct warren_job *job, const char *name);

/** The queue of the subscription. */
WARREN_API const char *warren_job_queue(const struct warren_job *job);
/**
 * The exchange that the message was published to first; "" for the default exchange. What warren
 * itself did to it since, such as a delayed retry, does not show.
 */
WARREN_API const char *warren_job_exchange(const struct warren_job *job);
WARREN_API const char *warren_job_routing_key(const struct warren_job *job);

/** False: never delivered before. True: perhaps delivered before (basic.deliver, redelivered). */
WARREN_API bool warren_job_redelivered(const struct warren_job *job);

/**
 * Which attempt this is, from 1: one more than the failed ones, which warren counts in the header
 * `x-warren-attempts` when a message goes back to the broker, and here while it waits in the
 * worker. An attempt in which the process ended counts as far as the worker's flight recorder knows
 * of it (`state_dir`). The broker's own count (`x-delivery-count` of quorum queues) does not: it
 * counts every message that was only prefetched when a process ended, too.
 */
WARREN_API uint32_t warren_job_attempt(struct warren_job *job);

/**
 * Milliseconds left until the attempt's time limit; INT64_MAX if there is none. Once the worker
 * drains, what is left of drain.timeout. Negative once it passed.
 */
WARREN_API int64_t warren_job_time_left_ms(const struct warren_job *job);

/** Microseconds since this attempt began. Since: 0.1. */
WARREN_API int64_t warren_job_elapsed_us(const struct warren_job *job);

/* ---- working ---- */

/**
 * Scratch memory, aligned for any type, freed by warren after `handle` returned.
 *
 * @return NULL if memory ran out
 */
WARREN_API void *warren_job_alloc(struct warren_job *job, size_t size);

/** Say why the attempt failed, for the log (and the dead letter). At most 1 KiB is kept. */
WARREN_API void warren_job_fail(struct warren_job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The last text of warren_job_fail(), or NULL. Valid until `handle` returns. Since: 0.1. */
WARREN_API const char *warren_job_error(const struct warren_job *job);

/**
 * Give this attempt up from any depth: unwinds to the chain's `recover`, which makes it a failed
 * attempt with this text. Nothing on the way is released: what the handler allocated or locked
 * stays so; use it where the alternative is abort().
 */
WARREN_API void warren_panic(struct warren_job *job, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/**
 * Have the message attempted again not before @delay_ms from now, if the outcome is WARREN_RETRY:
 * it stays unsettled in the prefetch window, without a worker thread. A later call replaces an
 * earlier one; a negative delay takes it back.
 *
 * A short delay (up to retry's in_memory_max) is waited for here, as long as there is a place: the
 * number of held messages is bounded. Else the message goes through the delay queues, with its
 * attempts counted, rounded up to whole seconds, for delay.longest at most.
 */
WARREN_API void warren_job_retry_after(struct warren_job *job, int64_t delay_ms);

/**
 * True once the attempt's time limit passed or the worker, draining, gave the handlers up: return
 * soon. Thread: any, while `handle` runs.
 */
WARREN_API bool warren_job_cancelled(const struct warren_job *job);

/**
 * A descriptor that becomes readable when warren_job_cancelled() becomes true, for poll(2). Made
 * at the first call; owned by the job, which must not find it closed.
 *
 * @return -1 if there is no more descriptor to be had, or in a child of fork(2)
 */
WARREN_API int warren_job_cancel_fd(struct warren_job *job);

/** Write one log line that carries queue, handler and message id. Never blocks. */
WARREN_API void warren_job_log(struct warren_job *job, enum warren_log_level level,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * Publish while handling. The message is copied. The input is acked only after the broker
 * confirmed everything the job published. If it refuses a message for good (no queue is bound for
 * it, or the exchange does not exist: WARREN_RETURNED), the attempt has failed, whatever the
 * handler answered, and the chain decides what follows: `retry`, how often and when it is tried
 * again. If a message is not confirmed for another reason (a full queue, a time-out), the outcome
 * becomes WARREN_RETRY, too, but the attempt is forgiven; the next one comes after a second, or up
 * to 30. Where another message of the attempt was confirmed, and will be published twice, only 3
 * attempts are forgiven.
 *
 * Blocks while the publisher's window is full: for publisher.block_timeout, but not beyond the
 * attempt's time limit; with publisher.when_full `fail` not at all.
 * @exchange  "" for the default exchange, where @routing_key is a queue's name
 * @return    WARREN_OK; WARREN_EINVAL, WARREN_ETOOBIG, WARREN_ETIMEOUT, WARREN_EFULL, WARREN_EIO,
 *            WARREN_ECLOSED or WARREN_ENOMEM: nothing was published, answer WARREN_RETRY. That is
 *            forgiven, as above, if there was no room, no disk or no memory for it while the
 * attempt had time; warren_job_error() then says so, unless the handler says something else. Of
 * WARREN_EINVAL (see warren_publisher_publish()) warren_job_error() names the field.
 */
WARREN_API enum warren_status warren_job_publish(struct warren_job *job, const char *exchange,
                                                 const char *routing_key,
                                                 const struct warren_message *message);

/**
 * The same for a message that is to be delivered @delay_ms later; once it is confirmed, it waits on
 * the broker, and the job and its worker are done with it.
 *
 * @delay_ms  0 or less: warren_job_publish(); at most `delay.longest`
 * @return    as warren_job_publish(), and by the rules of warren_publisher_publish_after()
 * Since: 0.1.
 */
WARREN_API enum warren_status warren_job_publish_after(struct warren_job *job, const char *exchange,
                                                       const char *routing_key,
                                                       const struct warren_message *message,
                                                       int64_t delay_ms);

/**
 * Answer a request: publish to the message's reply-to with its correlation id (AMQP 0-9-1,
 * basic properties; also RabbitMQ's direct reply-to). Not mandatory: a requester that left is no
 * failure of the job.
 *
 * @return as warren_job_publish(); WARREN_ENOTFOUND if the message has no reply-to
 */
WARREN_API enum warren_status warren_job_reply(struct warren_job *job,
                                               const struct warren_message *message);

/**
 * Have @weight of the semaphore @semaphore, which the top of the worker's YAML has (`semaphores:`),
 * from now until it is given back: by warren_job_release(), or by warren when the job ends, in
 * whatever way. Handlers that want some of it, and messages whose subscription uses it (`uses:`),
 * are served in the order in which they came: so one that wants much is not overtaken by those that
 * want little. Who has some of one and waits for another may wait for somebody who waits for what
 * it has: say a time, or take them in the same order everywhere.
 *
 * @timeout_ms  the longest wait; 0: none; below 0: as long as the job may take. The job's time
 *              limit, and the end of a drain, end it in any case
 * @return      WARREN_OK; WARREN_EFULL: it is not free, and there is to be no wait;
 *              WARREN_ETIMEOUT; WARREN_ENOTFOUND: there is no such semaphore; WARREN_EINVAL:
 *              @weight is below 1, or above its size, with what the job has of it and does not give
 *              back meanwhile (a reload may change that while it waits); WARREN_ECLOSED: in a
 * function of a group (group.h) that is cancelled, in `before` or `key`, or in a child of fork(2);
 * WARREN_ENOMEM. But for WARREN_OK nothing is had, and warren_job_error() says why Thread: also
 * that of a function of one of the job's groups. Since: 0.1.
 */
WARREN_API enum warren_status warren_job_acquire(struct warren_job *job, const char *semaphore,
                                                 int64_t weight, int64_t timeout_ms);

/**
 * Give back @weight of what warren_job_acquire() has got; not what the subscription uses.
 *
 * @return WARREN_OK; WARREN_EINVAL: the job has not acquired so much; WARREN_ENOTFOUND;
 *         WARREN_ECLOSED (fork(2)). Thread: as above. Since: 0.1
 */
WARREN_API enum warren_status warren_job_release(struct warren_job *job, const char *semaphore,
                                                 int64_t weight);

/** "ack", "retry", "reject", "discard", "requeue"; "unknown" for any other. Since: 0.1. */
WARREN_API const char *warren_outcome_name(enum warren_outcome outcome);

#ifdef __cplusplus
}
#endif
#endif
