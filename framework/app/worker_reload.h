/* worker_reload.h - SIGHUP and `warren reload`: the configuration read again while the worker runs.
 *
 *   read, as `warren check` does > compare > open what is new > one turn of the loop > in force
 *
 * What needs no other connection changes in place; all else that differs needs a restart, and is
 * told with why. A mistake anywhere changes nothing. What has been in force stays in memory, and
 * mapped, until the worker ends.
 * Thread: main. Elsewhere: what is compared and opened (worker_change.c), the turn of the loop
 * (consume/runtime/runtime_change.c), who asks (reload_request.h).
 */
#ifndef WARREN_APP_WORKER_RELOAD_H
#define WARREN_APP_WORKER_RELOAD_H

#include <stdatomic.h>

#include <warren/publisher.h>
#include <warren/worker.h>

#include "app/reload_report.h"
#include "app/worker_streams.h"
#include "app/worker_subscriptions.h"

/** How often a worker takes over something new; then it must be restarted for more. */
#define RELOADS_MAX 1000

/** Where the configuration comes from, and all that were in force since the beginning. */
struct worker_reload {
    char *file; /* NULL: there is none, so nothing is read again */
    char **sets;
    size_t set_count;
    size_t plugin_count;              /* of the program's own */
    const struct worker_setup *first; /* borrowed */
    struct worker_setup *setups;      /* those behind it */
    size_t setup_count;
    unsigned tries;
    _Atomic(const struct config *) in_force; /* read by any thread */
    int64_t publisher_rate;                  /* in force, as is burst */
    int64_t publisher_burst;
    char reported[NAME_LIST_SIZE]; /* the options that need a restart, in the last report */
};

/** What is changed. All borrowed. */
struct reload_target {
    struct open_subscriptions *open;
    struct runtime *runtime;
    struct worker_streams *streams;
    struct key_writer *key_writer; /* NULL: nothing is remembered */
    struct warren_publisher *publisher;
    const struct plugin_trial *trial; /* NULL: plugins are loaded untried */
};

/**
 * Copies what it needs of @options.
 *
 * @first  in force; borrowed until worker_reload_done()
 * @return WARREN_OK; WARREN_ENOMEM: worker_reload_done()
 */
enum warren_status worker_reload_init(struct worker_reload *reload,
                                      const struct warren_worker_options *options,
                                      const struct worker_setup *first);
/** After subscriptions_close(). Zeroed is fine. */
void worker_reload_done(struct worker_reload *reload);

/** The setup in force. */
const struct worker_setup *worker_reload_current(const struct worker_reload *reload);

/**
 * Read again, take over what can be, and log what was done.
 *
 * @by      who wants it, for the log: "SIGHUP"
 * @report  zeroed; reload_report_done() is the caller's
 */
void worker_reload(struct worker_reload *reload, const struct reload_target *target, const char *by,
                   struct reload_report *report);

#endif
