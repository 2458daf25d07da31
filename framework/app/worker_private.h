/* worker_private.h - what worker.c and worker_state.c share. Thread: that of warren_worker_run(),
 * but for what is atomic.
 */
#ifndef WARREN_APP_WORKER_PRIVATE_H
#define WARREN_APP_WORKER_PRIVATE_H

#include <warren/worker.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "app/reload_request.h"
#include "app/tracing_settings.h"
#include "app/worker_flight.h"
#include "app/worker_metrics.h"
#include "app/worker_orphans.h"
#include "app/worker_reload.h"
#include "app/worker_service.h"
#include "app/worker_setup.h"
#include "app/worker_streams.h"
#include "app/worker_subscriptions.h"
#include "consume/runtime/runtime.h"
#include "observe/admin.h"
#include "store/writer/key_writer.h"

enum life { NEW, RUNNING, ENDED };

struct warren_worker {
    pid_t pid;        /* that made it: a child inherits the memory, and no threads */
    _Atomic int life; /* enum life */
    struct worker_setup setup;
    struct warren_publisher *publisher;
    struct runtime *runtime;
    struct worker_flight flight;
    struct key_writer *key_writer; /* NULL: nothing is remembered */
    struct open_subscriptions *open;
    struct worker_streams streams;
    struct worker_reload reload;
    struct reload_request request; /* for one, by the admin listener */
    struct tracing_settings tracing;
    struct otlp *otlp; /* sends spans; NULL: nobody does */
    struct worker_orphans orphans;
    struct worker_metrics metrics;
    struct health health;
    struct process_state begun;    /* of `warren run`: what its children begin with, too */
    struct worker_service service; /* the same */
    struct admin *admin;           /* NULL: none */
    _Atomic int state;             /* enum warren_worker_state, as on_state was told */
    void (*on_state)(enum warren_worker_state state, void *user);
    void *user;                    /* of on_state */
    struct runtime_events reports; /* the log's, of those events that others want, too */
    bool own_signals;
    bool owns_log;
    bool diverts_log; /* lines go to the program */
    bool stopping;
    bool signalled; /* the first signal to stop was taken */
    bool abandoned; /* a handler never returned: nothing that it may touch is freed */
    sem_t own_wake;
    sem_t *wake; /* posted: look at the flags below, the signals and the recorder. No descriptor,
                    which a handler might close */
    int64_t started_ms;
    int64_t stopped_ms; /* when its drain began; 0: not yet */
    atomic_bool stop_asked;
    atomic_bool at_gap; /* a stream lacks messages, and on_gap is stop */
    atomic_bool ended;
    enum warren_status end_status; /* written before @ended */
    uint32_t end_unfinished;
};

/** It was made by another process, of which this is a child. */
bool worker_is_inherited(const struct warren_worker *worker);

/* ---- worker_state.c ---- */

/** @events of the runtime, all set but `stopped` and `gap`, also wake who calls
 * worker_state_look(). */
void worker_state_watch(struct warren_worker *worker, struct runtime_events *events);
/** Tell the program, and the service manager, if something has changed. */
void worker_state_look(struct warren_worker *worker);

#endif
