/* health.h - is the worker alive, is it ready, and why not?
 *
 * Alive: its event loops turn, and no handler runs far beyond its time limit. What is not alive is
 * to be restarted. Ready: each subscription is at work, or rests for a good reason
 * (consume/runtime/look.h). What is not ready is to be looked at.
 * The admin listener tells it to who asks (admin.h), the worker to the service manager
 * (app/worker_service.h). Thread: any. Owner: the worker.
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
/** Of a reason, in bytes. */
#define HEALTH_REASON_MAX 512

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

/** From now on these are looked after; either may be NULL. */
void health_watch(struct health *health, struct runtime *runtime,
                  struct warren_publisher *publisher);
/** Not any more: they may be freed. */
void health_unwatch(struct health *health);
/** The runtime (NULL: there is none), which is not freed until health_let_go(): soon. */
struct runtime *health_hold(struct health *health);
void health_let_go(struct health *health);
/** How far the worker is. */
void health_phase(struct health *health, enum warren_worker_state phase);

/** Ask the loops whether they turn: each second or so, whoever does. */
void health_beat(struct health *health, int64_t now_ms);

/** Write the answer. @return whether it is well */
bool health_live(struct health *health, int64_t now_ms, struct json_writer *json);
bool health_ready(struct health *health, int64_t now_ms, struct json_writer *json);

/** The same without an answer. @return whether it is well; if not, @reason is the first one */
bool health_is_live(struct health *health, int64_t now_ms, char reason[HEALTH_REASON_MAX]);
bool health_is_ready(struct health *health, int64_t now_ms, char reason[HEALTH_REASON_MAX]);

#endif
