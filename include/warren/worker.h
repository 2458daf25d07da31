/* worker.h - run a worker inside your own program: what `warren run` does, as a library.
 *
 *   warren_worker_new > warren_worker_run > ... warren_worker_stop > drain > warren_worker_free
 *
 * A worker is of the process that made it. In a child that inherits one by fork(2) none of its
 * threads is there: warren_worker_run() and warren_worker_stop() answer WARREN_ECLOSED,
 * warren_worker_free() does nothing, and connections, files and signals of the parent are
 * untouched. It may make a worker of its own, with other files (state_dir, store, spool).
 * Elsewhere: plugins (handler.h); the YAML file (docs/configuration.md).
 */
#ifndef WARREN_WORKER_H
#define WARREN_WORKER_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

struct warren_worker;

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
                         second of each other are one), SIGHUP reopens files; SIGPIPE does nothing
                         from now on. False: they are the program's. Handlers' threads have the
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
    void *user; /**< of on_log. Since: 0.1 */
};

/**
 * Read the configuration, load the plugins, open the handlers.
 *
 * @return WARREN_OK; with @error: WARREN_ECONFIG, WARREN_EPLUGIN, WARREN_EIO (state_dir, store or
 *         spool cannot be written), WARREN_ENOMEM; WARREN_EINVAL: @options or @ret_worker is NULL,
 *         options->size is not set, or there are both a file and a text
 */
WARREN_API enum warren_status warren_worker_new(const struct warren_worker_options *options,
                                                struct warren_worker **ret_worker,
                                                struct warren_error *error);

/**
 * Consume until told to stop, then drain. Blocks. Once in the life of a worker.
 *
 * @return WARREN_OK after a clean drain; WARREN_ETIMEOUT if drain.timeout ended it (the rest was
 *         handed back to the broker); WARREN_ECLOSED if a second signal ended it,
 *         or at once: it has run and ended, or is of another process; WARREN_EINVAL: it runs in
 *         another thread, or is NULL; WARREN_EIO: no thread could be started;
 *         WARREN_ETAINTED if a handler crashed or was given up: the others were finished and all
 *         acks sent, but a thread is stopped for ever, with what it had locked, and no memory is to
 *         be trusted. End the process, or execute it again, soon. While this has not returned 5 s
 *         after drain.timeout, the signal of the crash ends the process. If a descriptor of
 * warren's is closed by something else, or is another file by then, the process ends with status 1
 * and a line in the log
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
 * Close the handlers and free everything; NULL is fine. Not while warren_worker_run() runs.
 * Thread: any; the handlers' `close` is called on it.
 */
WARREN_API void warren_worker_free(struct warren_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
