/* testing.h - run a handler in a unit test: no broker, no threads, and time that the test drives.
 *
 *     const struct warren_plugin *warren_plugin_entry(void); // of WARREN_PLUGIN(), in the plugin
 *
 *     struct warren_test_options options = {.size = sizeof options,
 *                                           .plugin = warren_plugin_entry(),
 *                                           .handler = "charge",
 *                                           .chain = "[retry: {max_attempts: 3}, recover]"};
 *     struct warren_test_message message = {.message = {.body = warren_text("{\"id\":1}")}};
 *     struct warren_test *test;
 *     struct warren_error error;
 *
 *     assert(warren_test_new(&options, &test, &error) == WARREN_OK);
 *     assert(warren_test_deliver(test, &message, &error) == WARREN_OK);
 *     warren_test_publishing(test, WARREN_OK, WARREN_NACKED);    the broker shall refuse
 *     assert(warren_test_run(test)->outcome == WARREN_RETRY);    the first attempt
 *     warren_test_publishing(test, WARREN_OK, WARREN_CONFIRMED);
 *     assert(warren_test_settle(test, 10)->outcome == WARREN_ACK); and those that follow
 *     warren_test_free(test);
 *
 * Several messages at once, as in a worker's prefetch window (duplicates, order, limits):
 *
 *     warren_test_deliver(test, &order, &error);
 *     warren_test_deliver_also(test, &same_order, &error);
 *     do {
 *         attempt = warren_test_run(test); // of the message attempt->message
 *     } while (attempt->left > 0);
 *
 * Compile the plugin's sources into the test and link with `pkg-config --libs warren`, or name the
 * .so. The chain, the job, the checks of options and the middlewares are those of the worker; what
 * is missing is the broker: nothing is published, dead-lettered or delayed but in this report.
 *
 * Thread: one for each struct warren_test, any; the handler runs on the thread that calls, and so
 * do the functions of its groups, unless the options say otherwise. The
 * log's lines go to standard error. NULL in place of a struct warren_test is not looked for. In a
 * child of fork(2) a test is not to be used, for its store stays the parent's; warren_test_free()
 * does nothing there. Elsewhere: the same for one message by hand, `warren invoke`.
 */
#ifndef WARREN_TESTING_H
#define WARREN_TESTING_H

#include <warren/handler.h>
#include <warren/publisher.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One handler with its chain, opened; what it was given, and what it did. Opaque. Since: 0.1. */
struct warren_test;

/** What is tested. Zero what you do not need. Everything is copied but plugin and bare. */
struct warren_test_options {
    size_t size;                        /**< sizeof of this struct */
    const struct warren_plugin *plugin; /**< one in this program: warren_plugin_entry(), or NULL */
    const char *plugin_file;            /**< a .so; NULL: none */
    const struct warren_handler *bare;  /**< a handler of no plugin; it becomes "test.NAME" */
    const char *handler;                /**< "HANDLER" or "PLUGIN.HANDLER"; NULL: the only one */
    const char *const *options;         /**< of the handler: "NAME=VALUE", VALUE as in YAML */
    size_t option_count;
    /**
     * The middlewares, outermost first, as YAML has them under `middleware:`. NULL: those of
     * @config_file; without a file none. Without recover a warren_panic() ends the process. As in a
     * worker a transactional handler needs idempotency in it, and what is rejected is a dead letter
     * unless the file's dead_letter.enabled is false: so retry gives up after 5 attempts, if its
     * max_attempts does not say otherwise.
     */
    const char *chain;
    /**
     * The worker's YAML: its plugins are loaded too, and what @options and @chain do not say is
     * that of its subscription with this handler and queue. NULL: none; then the environment is not
     * looked at either.
     */
    const char *config_file;
    const char *queue; /**< NULL: the file's; without a file "test" */
    uint64_t seed; /**< of everything random in the chain; the same one gives the same numbers */
    /**
     * false: the clock stands still but for what warren_test_advance(), warren_test_run() and
     * warren_test_settle() add to it; true: it runs, too
     */
    bool clock_runs;
    /**
     * Threads for functions of groups (group.h), at most 1024. 0: they run one after the other on
     * the test's thread, in their order, as all else here. Since: 0.1
     */
    size_t group_threads;
};

/**
 * Check the options, load the plugin, and open middlewares and handler.
 *
 * @return WARREN_OK; WARREN_ECONFIG (an option, the chain, or the file), WARREN_EPLUGIN (the
 * plugin, or an `open` that failed), WARREN_ENOTFOUND (no such handler), WARREN_EINVAL (no handler
 *         given, @size, or NULL) or WARREN_ENOMEM, with @error
 */
WARREN_API enum warren_status warren_test_new(const struct warren_test_options *options,
                                              struct warren_test **ret_test,
                                              struct warren_error *error);

/**
 * As SIGHUP does in a worker: give the middlewares the options of @chain, where these differ. What
 * they know stays, such as what a breaker has counted.
 *
 * @chain   as in the options; NULL: the file is read again
 * @return  WARREN_OK; WARREN_ECONFIG with @error: @chain is wrong, or has other middlewares, and
 *          everything stays as it was; or an option has changed that needs a restart, then the rest
 *          is in force. WARREN_ENOMEM. Since: 0.1
 */
WARREN_API enum warren_status warren_test_reload(struct warren_test *test, const char *chain,
                                                 struct warren_error *error);

/** Close handler and middlewares, free everything; NULL is fine. */
WARREN_API void warren_test_free(struct warren_test *test);

/** "PLUGIN.HANDLER". Lives until warren_test_free(). */
WARREN_API const char *warren_test_handler(const struct warren_test *test);

/** A message as it comes from the broker. Zero what you do not need. Everything is copied. */
struct warren_test_message {
    struct warren_message message;
    const char *exchange;    /**< NULL: "" */
    const char *routing_key; /**< NULL: the queue */
    bool redelivered;
    /** which one the next is; counts in headers make room. 0: the notes of warren's copies tell it;
     * as in a worker, how often the broker delivered it does not matter */
    uint32_t attempt;
};

/** Messages that can be there at once. Since: 0.1. */
#define WARREN_TEST_MESSAGES_MAX 1024

/**
 * From now on warren_test_run() is about this message. Those that came before are forgotten.
 *
 * @return WARREN_OK; WARREN_EINVAL (NULL, a name over 255 bytes, headers that AMQP does not have),
 *         WARREN_ETOOBIG or WARREN_ENOMEM, with @error
 */
WARREN_API enum warren_status warren_test_deliver(struct warren_test *test,
                                                  const struct warren_test_message *message,
                                                  struct warren_error *error);

/**
 * One more message beside those that are there: as if the broker had sent them one behind the
 * other, and nothing of them were handled yet.
 *
 * @return as warren_test_deliver(); WARREN_EFULL: there are WARREN_TEST_MESSAGES_MAX. Since: 0.1
 */
WARREN_API enum warren_status warren_test_deliver_also(struct warren_test *test,
                                                       const struct warren_test_message *message,
                                                       struct warren_error *error);

/**
 * From now on @text, wherever it stands in a message that is delivered, has @len bytes: it holds a
 * NUL, as what comes from a broker may (message.h). It must live until warren_test_free().
 *
 * @return WARREN_OK or WARREN_ENOMEM. Since: 0.1
 */
WARREN_API enum warren_status warren_test_note_text(struct warren_test *test, const char *text,
                                                    size_t len);

/** Messages that are kept; further ones are answered WARREN_EFULL. */
#define WARREN_TEST_PUBLISHED_MAX 4096

/** One message that the handler published. Lives until the next warren_test_deliver(). */
struct warren_test_published {
    const char *exchange;
    const char *routing_key;
    struct warren_message message; /**< as the handler gave it, with the chain's trace context */
    bool reply;                    /**< by warren_job_reply() */
    uint32_t attempt;              /**< the attempt that published it */
    enum warren_status status;     /**< what the handler was answered */
    enum warren_result result;     /**< what the broker said, if that was WARREN_OK */
    int64_t delay_ms;              /**< by warren_job_publish_after(); 0: at once */
};

/**
 * What a worker publishes in place of a message that it gives up: a copy of it, with notes of its
 * way as headers (docs/architecture.md); those of time are of the real clock. Here it always
 * arrives. Lives until the next attempt. Since: 0.1.
 */
struct warren_test_dead_letter {
    const char *exchange;    /**< "QUEUE.dlx", or the file's dead_letter.exchange */
    const char *routing_key; /**< the one the message was published with first */
    struct warren_message message;
    const char *reason; /**< of its headers x-warren-reason: "rejected" by the handler or for what
                             warren_job_reason() was told, such as "attempts" */
    const char *error;  /**< and x-warren-error, which may be cut; NULL: nothing was said */
};

/** How one attempt went. Lives until the next attempt. */
struct warren_test_attempt {
    enum warren_outcome outcome; /**< WARREN_RETRY also if a published message was not confirmed */
    uint32_t attempt;            /**< warren_job_attempt() */
    const char *error;           /**< warren_job_fail(); NULL: nothing was said */
    int64_t retry_after_ms;      /**< outcome WARREN_RETRY: not before so long; -1: whenever */
    bool forgiven;               /**< the attempt does not count (warren_job_forgive()) */
    bool duplicate;   /**< the message was handled before, and the handler was not called */
    int64_t began_ms; /**< by the test's clock */
    int64_t ended_ms;
    const struct warren_test_published *published; /**< in this attempt */
    size_t published_count;
    const struct warren_test_published *reply; /**< the last one among them; NULL: none */
    /** outcome WARREN_REJECT; NULL: another one, or the file's dead_letter.enabled is false */
    const struct warren_test_dead_letter *dead_letter;
    size_t message; /**< whose attempt: 0 is that of warren_test_deliver(). Since: 0.1 */
    size_t left;    /**< messages that are not acked, rejected or discarded. Since: 0.1 */
};

/**
 * One attempt: of the message that is next, as in a worker. If none may go now, the clock is put
 * forward to when one is due: by the delay of the attempt before, and until the chain's rate_limit
 * and breaker admit it. Without a delay after REQUEUE and RETRY the message comes from the broker
 * again, redelivered, behind the others; and so do all of them when none is left, after the
 * outcomes ACK, REJECT and DISCARD.
 *
 * Of several messages, as many as the gates admit are shown to each `before` when the first of them
 * is handled; so two with one key of idempotency are in flight at once, and the second one waits
 * for the first. They are handled one after the other, on this thread.
 *
 * With idempotency in the chain, keys are remembered as long as the test is there: a message that
 * was acked or discarded, and another one with its key, is a duplicate from then on. A store in
 * $TMPDIR, or /tmp, does that; warren_test_free() removes it.
 *
 * What the chain's middlewares do ahead of the workers and behind them (`before`, `after`) is done
 * before and after the attempt; for one that answers from a thread of its own this waits, by the
 * real clock.
 *
 * @return never NULL. To call it without a message is a programmer's mistake and aborts; so does a
 *         chain that admits nothing for a year, or a middleware that does not answer for a minute
 */
WARREN_API const struct warren_test_attempt *warren_test_run(struct warren_test *test);

/**
 * warren_test_run() until the outcome is not WARREN_RETRY, at most @attempts_max times (at least
 * once): hours of retries in no time.
 *
 * @return the last attempt
 */
WARREN_API const struct warren_test_attempt *warren_test_settle(struct warren_test *test,
                                                                uint32_t attempts_max);

/**
 * Of a handler with `handle_batch`: one batch of all messages that may go now, in the order in
 * which they came, @most at most; the next ones are left for the next batch. If none may go, as
 * warren_test_run(), which gives such a handler one message at a time.
 *
 * @ret_count  how many attempts there are
 * @return     how each went, in the order of the messages. What the batch has published is told
 * with each of them. NULL and a count of 0: no memory. To call it for another handler, or with
 *             @most of 0, is a programmer's mistake and aborts. Lives until the next attempt.
 *             Since: 0.1
 */
WARREN_API const struct warren_test_attempt *warren_test_run_batch(struct warren_test *test,
                                                                   size_t most, size_t *ret_count);

/**
 * How publishing answers from now on. At first: WARREN_OK, WARREN_CONFIRMED.
 *
 * @status  what warren_job_publish(), warren_job_publish_after() and warren_job_reply() return,
 * such as WARREN_ETIMEOUT
 * @result  if that is WARREN_OK: what the broker says before the job ends. With WARREN_RETURNED the
 *          attempt has failed, and the chain decides what follows; with WARREN_NACKED,
 *          WARREN_TIMEOUT and WARREN_EXPIRED it is forgiven, and the outcome is WARREN_RETRY
 */
WARREN_API void warren_test_publishing(struct warren_test *test, enum warren_status status,
                                       enum warren_result result);

/**
 * All messages published since warren_test_deliver(), oldest first.
 *
 * @return NULL if there are none
 */
WARREN_API const struct warren_test_published *
warren_test_all_published(const struct warren_test *test, size_t *ret_count);

/**
 * A text of a published message or a dead letter as it was given, with its length: what the job was
 * given may hold a NUL (message.h).
 *
 * @return  of any other text its bytes up to the first NUL; NULL and 0 of NULL. Since: 0.1
 */
WARREN_API struct warren_bytes warren_test_text(const struct warren_test *test, const char *text);

/**
 * What a series of the process has now, as /metrics of a worker would show it: a handler's own
 * (metrics.h), or one of warren's. Series belong to the process: they count on from test to test,
 * so compare with the value before.
 *
 * @series  name and labels, in the order of their declaration, such as
 *          "shop_charged_total{currency=\"EUR\"}"; of a histogram its "_count", "_sum" or
 *          "_bucket"
 * @return  NAN: there is none, or no memory, or @series is NULL
 * Thread: any. Since: 0.1.
 */
WARREN_API double warren_test_metric(const char *series);

/** The clock that job and middlewares see, in milliseconds; it begins at 1,000,000. */
WARREN_API int64_t warren_test_now_ms(const struct warren_test *test);

/**
 * Put the clock forward by @ms, 0 or more. A handler's double may call it, on the same thread: the
 * time limit of the attempt (middleware deadline) passes, warren_job_cancelled() turns true, and
 * the descriptor of warren_job_cancel_fd() readable. To go back, or beyond the clock's end in 146
 * years, is a programmer's mistake and aborts.
 */
WARREN_API void warren_test_advance(struct warren_test *test, int64_t ms);

/** As if the worker were told to stop: in @left_ms by the clock jobs are cancelled; below 0: not.
 */
WARREN_API void warren_test_drain(struct warren_test *test, int64_t left_ms);

#ifdef __cplusplus
}
#endif
#endif
