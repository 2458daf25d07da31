/* worker.h - run a worker inside your own program: what `warren run` does, as a library.
 *
 *   warren_worker_new > warren_worker_run > ... warren_worker_stop > drain > warren_worker_free
 *
 * A worker is of the process that made it. In a child that inherits one by fork(2) none of its
 * threads is there: warren_worker_run() and warren_worker_stop() answer WARREN_ECLOSED,
 * warren_worker_free() does nothing, and connections, files and signals of the parent are
 * untouched. It may make a worker of its own, with other files (state_dir, store, spool).
 * In a receipt's callback warren_worker_stop() and the statistics may be called; what else there is
 * takes its time, or waits for the thread that calls back.
 * Elsewhere: plugins (handler.h); the YAML file (docs/configuration.md).
 */
#ifndef WARREN_WORKER_H
#define WARREN_WORKER_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

struct warren_worker;

/** How far a worker is. */
enum warren_worker_state {
    WARREN_WORKER_STARTING = 0, /**< not every subscription consumes: at first, and after a loss */
    WARREN_WORKER_READY,        /**< the broker sends to every subscription */
    WARREN_WORKER_DRAINING,     /**< it was told to stop, or a handler crashed */
    WARREN_WORKER_ENDED         /**< warren_worker_run() is about to return */
};

/** Where the configuration comes from (file or text < environment < sets), and how the worker lives
 * with the program. Zero what you do not need. Everything is copied but the plugins. */
struct warren_worker_options {
    size_t size;             /**< sizeof of this struct */
    const char *config_file; /**< YAML */
    const char *const *sets; /**< "key=value", as `warren run --set` */
    size_t set_count;
    const struct warren_plugin *const *plugins; /**< handlers compiled into the program */
    size_t plugin_count;
    bool own_signals; /**< true: SIGTERM and SIGINT drain, a second one ends at once (those within a
                         second of each other are one), SIGHUP reopens files; SIGPIPE does nothing.
                         Caught, whatever threads there are or were before; one worker of a process
                         can have them, and warren_worker_free() gives back each that nobody has
                         replaced since. False: they are the program's. Handlers' threads have the
                         mask of the thread that calls warren_worker_new(), and block SIGPIPE where
                         it would end the program */
    const char *config_text; /**< YAML in memory, in place of @config_file. SIGHUP reads nothing
                                  again then. Since: 0.1 */
    const char *config_name; /**< of the text, as if it were a file: errors begin with it, and
                                  relative file names are relative to its folder. NULL:
                                  "config_text". Since: 0.1 */
    /**
     * Told of each line, in place of stderr; log.level says which there are. A process has one log:
     * that of the first worker, until it is freed. Others' lines go there, too, and their on_log is
     * not called. It makes no handler wait: lines wait for it, and those that find no room are
     * counted and lost. warren_worker_free() waits for a call, and none begins after it. Call
     * nothing of warren's in it.
     * Thread: the log's; before and after warren_worker_run() also whoever logs. NULL: stderr.
     * Since: 0.1
     */
    warren_log_fn *on_log;
    /**
     * Told of each change of the state; first WARREN_WORKER_STARTING, last WARREN_WORKER_ENDED.
     * What changes back at once may not be told. Do not block, for signals, drains and crashes wait
     * for it; warren_worker_stop() and warren_worker_stats() may be called in it.
     * Thread: that of warren_worker_run(). NULL: nothing is reported. Since: 0.1
     */
    void (*on_state)(enum warren_worker_state state, void *user);
    void *user; /**< of on_log and on_state. Since: 0.1 */
};

/**
 * Read the configuration, load the plugins, open the handlers.
 *
 * @return WARREN_OK; with @error: WARREN_ECONFIG, WARREN_EPLUGIN, WARREN_EIO (disk of state_dir,
 *         store or spool), WARREN_ENOMEM; WARREN_EINVAL: @options or @ret_worker is NULL,
 *         options->size is not set, there are both a file and a text, or another worker of the
 *         process has the signals; WARREN_ETAINTED: a handler has crashed in this process
 */
WARREN_API enum warren_status warren_worker_new(const struct warren_worker_options *options,
                                                struct warren_worker **ret_worker,
                                                struct warren_error *error);

/**
 * Consume until told to stop, then drain. Blocks. Once in the life of a worker.
 *
 * Set the option state_dir: without it, a message that crashes the program is delivered to the next
 * process as if it were new, and crashes it again, for ever. (`warren run` executes itself, and
 * hands on in memory what it knows.) A worker without it warns of that here.
 *
 * @return WARREN_OK after a clean drain; WARREN_ETIMEOUT if drain.timeout ended it (the rest was
 *         handed back to the broker); WARREN_ECLOSED if a second signal ended it,
 *         or at once: it has run and ended, or is of another process; WARREN_EINVAL: it runs in
 *         another thread, or is NULL; WARREN_EIO: no thread could be started;
 *         WARREN_ETAINTED if a handler crashed or was given up: the others were finished and all
 *         acks sent, but a thread is stopped for ever, with what it had locked, and no memory is to
 *         be trusted. There are no new workers any more. End the process, or execute it again,
 * soon. While this has not returned 5 s after drain.timeout, the signal of the crash ends the
 * process. If a descriptor of warren's is closed by something else, or is another file by then, the
 * process ends with status 1 and a line in the log
 */
WARREN_API enum warren_status warren_worker_run(struct warren_worker *worker);

/**
 * Begin to drain, as SIGTERM does; before warren_worker_run(), that drains at once. Harmless to
 * repeat, and after the end.
 *
 * @return WARREN_OK; WARREN_EINVAL: NULL; WARREN_ECLOSED: of another process
 * Thread: any, until warren_worker_free(); not async-signal-safe.
 */
WARREN_API enum warren_status warren_worker_stop(struct warren_worker *worker);

/**
 * What a worker did since it was made, and has in hand. Counts only grow. What is in flight, with
 * the broker waiting for its ack, is running + queued + held.
 */
struct warren_worker_stats {
    size_t size; /**< sizeof of this struct, set by the caller */
    enum warren_worker_state state;
    const char *queue;      /**< of a subscription; NULL: all. Lives as long as the worker */
    bool ready;             /**< the broker sends */
    uint64_t received;      /**< messages from the broker, also those that came again, */
    uint64_t redelivered;   /**< which it says are these */
    uint64_t acked;         /**< handled, by outcome: WARREN_ACK, */
    uint64_t retried;       /**< WARREN_RETRY: attempts that another one follows, */
    uint64_t rejected;      /**< WARREN_REJECT, also what the chain gave up and what is unfit, */
    uint64_t discarded;     /**< WARREN_DISCARD, */
    uint64_t requeued;      /**< WARREN_REQUEUE, also what a drain handed back unbegun */
    uint64_t dead_lettered; /**< of those rejected: confirmed in the dead-letter exchange */
    uint64_t stale;         /**< handled after their connection was lost: they come again */
    uint32_t running;       /**< in a handler now */
    uint32_t queued;        /**< wait for a worker thread */
    uint32_t held;          /**< wait for a retry, a rate limit, or a copy to be confirmed */
    uint64_t reconnects;    /**< of the consuming connection; as all below, 0 of a subscription */
    uint64_t published;     /**< by handlers, and copies such as dead letters */
    uint64_t confirmed;     /**< of those */
    uint64_t unpublished;   /**< nacked, returned, or timed out */
    uint32_t publishing;    /**< not ended yet */
    uint64_t spooled;       /**< wait in the spool now */
};

/**
 * Read the counts of all subscriptions together.
 *
 * @stats   its size is set, the rest is written
 * @return  WARREN_OK; WARREN_EINVAL: NULL, or stats->size is not set; WARREN_ECLOSED: of another
 *          process
 * Thread: any, until warren_worker_free(). Since: 0.1.
 */
WARREN_API enum warren_status warren_worker_stats(struct warren_worker *worker,
                                                  struct warren_worker_stats *stats);
/**
 * Those of one subscription.
 *
 * @index   its place in the configuration, from 0
 * @return  as warren_worker_stats(); WARREN_ENOTFOUND: there are fewer
 */
WARREN_API enum warren_status warren_worker_subscription_stats(struct warren_worker *worker,
                                                               size_t index,
                                                               struct warren_worker_stats *stats);

/**
 * Close the handlers and free everything; NULL is fine. Not while warren_worker_run() runs.
 * Thread: any; the handlers' `close` is called on it.
 */
WARREN_API void warren_worker_free(struct warren_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
