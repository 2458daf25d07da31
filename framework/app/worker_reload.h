/* worker_reload.h - SIGHUP: the configuration read again while the worker runs.
 * Options of middlewares change, and those that the option table says RELOADS of; all else that
 * differs is named in the log and needs a restart. A file that `warren check` would refuse changes
 * nothing.
 * Thread: main.
 */
#ifndef WARREN_APP_WORKER_RELOAD_H
#define WARREN_APP_WORKER_RELOAD_H

#include <warren/publisher.h>
#include <warren/worker.h>

#include "app/worker_subscriptions.h"

/** How often a worker takes over something new; then it must be restarted for more. */
#define RELOADS_MAX 1000

/** Where the configuration comes from, and those whose options middlewares may still look at. */
struct worker_reload {
    char *file; /* NULL: there is none, so nothing is read again */
    char **sets;
    size_t set_count;
    size_t plugin_count; /* of the program's own */
    struct worker_setup *setups;
    size_t setup_count;
    int64_t publisher_rate; /* in force, as is what follows */
    int64_t publisher_burst;
    char log[32];                  /* level and format */
    char reported[NAME_LIST_SIZE]; /* the options that need a restart, in the last report */
};

/**
 * Copies what it needs of @options, and of @config, which is in force.
 *
 * @return WARREN_OK; WARREN_ENOMEM: worker_reload_done()
 */
enum warren_status worker_reload_init(struct worker_reload *reload,
                                      const struct warren_worker_options *options,
                                      const struct config *config);
/** After subscriptions_close(). Zeroed is fine. */
void worker_reload_done(struct worker_reload *reload);

/** Read again, take over what can be, and log what was done. */
void worker_reload(struct worker_reload *reload, const struct worker_setup *setup,
                   struct open_subscriptions *open, struct warren_publisher *publisher);

#endif
