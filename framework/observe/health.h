/* health.h - is the worker alive, is it ready, and why not?
 *
 * Alive: its event loops turn, and no handler runs far beyond its time limit. What is not alive is
 * to be restarted. Ready: each subscription is at work, or rests for a good reason
 * (consume/runtime/look.h). What is not ready is to be looked at.
 * Thread: the listener's, but for watch, unwatch and phase. Owner: struct admin embeds one.
 */
#ifndef WARREN_OBSERVE_HEALTH_H
#define WARREN_OBSERVE_HEALTH_H

#include <pthread.h>

#include <warren/worker.h>

#include "base/json_writer.h"
#include "consume/runtime/look.h"
#include "loop/loop_pulse.h"

/** A loop that does not answer for this long hangs. */
#define HEALTH_SILENT_MS 10000
/** A handler is lost that has not returned so long after its time limit. */
#define HEALTH_OVERDUE_MS 10000

struct health {
    pthread_mutex_t lock;               /* guards the next two */
    struct runtime *runtime;            /* NULL: not yet, or not any more */
    struct warren_publisher *publisher; /* NULL: likewise */
    struct loop_pulse consume;
    struct loop_pulse publish;
    _Atomic int phase; /* enum warren_worker_state */
};

void health_init(struct health *health);
void health_done(struct health *health);

/** From now on these are looked after; either may be NULL. Thread: any. */
void health_watch(struct health *health, struct runtime *runtime,
                  struct warren_publisher *publisher);
/** Not any more: they may be freed. Thread: any. */
void health_unwatch(struct health *health);
/** The runtime (NULL: there is none), which is not freed until health_let_go(): soon. Thread: any.
 */
struct runtime *health_hold(struct health *health);
void health_let_go(struct health *health);
/** How far the worker is. Thread: any. */
void health_phase(struct health *health, enum warren_worker_state phase);

/** Ask the loops whether they turn: each second or so. */
void health_beat(struct health *health, int64_t now_ms);

/** Write the answer. @return whether it is well */
bool health_live(struct health *health, int64_t now_ms, struct json_writer *json);
bool health_ready(struct health *health, int64_t now_ms, struct json_writer *json);

#endif
