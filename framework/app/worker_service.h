/* worker_service.h - a worker and its service manager (systemd): what is told of its life, and
 * when. base/notify.h has the protocol.
 *
 *   READY=1       all its subscriptions are ready, as /readyz says; once. While the broker is away
 * it is not sent: what starts a worker waits, and gives up after its own time (TimeoutStartSec=),
 * for a worker that cannot work has not started STATUS=       what it does, or why it is not ready;
 * each time that it changes RELOADING=1   around a reload, and READY=1 behind it, whether or not
 * the file was taken WATCHDOG=1    three times in WATCHDOG_USEC, as long as /healthz would say that
 * it is alive STOPPING=1    with EXTEND_TIMEOUT_USEC: what drain.timeout allows, whatever
 * TimeoutStopSec= is
 *
 * A worker that a handler has crashed drains and executes itself: it is the same process, and the
 * service goes on, so nothing but the status tells of it.
 * Thread: main. Owner: the worker.
 */
#ifndef WARREN_APP_WORKER_SERVICE_H
#define WARREN_APP_WORKER_SERVICE_H

#include <warren/worker.h>

#include "base/notify.h"
#include "observe/health.h"

/** The least time between two looks at the worker, which a short watchdog asks for. */
#define SERVICE_LOOK_MIN_MS 10
/** How often its loops are asked whether they turn, at least. */
#define SERVICE_BEAT_MS 1000
/** What an end may take beyond drain.timeout: what plugins do in `close`, and the log. */
#define SERVICE_END_MS 10000

/** Zeroed: there is no service manager. */
struct worker_service {
    struct notify notify;
    struct warren_error wrong;           /* about the environment; WARREN_OK: nothing is wrong */
    int64_t beat_ms;                     /* when the loops are asked next */
    int64_t watchdog_ms;                 /* when WATCHDOG=1 is due */
    bool ready;                          /* READY=1 was sent */
    bool ready_due;                      /* and is to be sent again, for a reload is over */
    bool stopping;                       /* STOPPING=1 was sent */
    bool warned;                         /* that nothing arrives, since something did */
    bool dead;                           /* /healthz would say so, which was reported */
    char status[HEALTH_REASON_MAX + 32]; /* as it was sent last */
};

/** What there is to be told. */
struct worker_service_facts {
    enum warren_worker_state state;
    bool stops;               /* it drains, and ends then; else it executes itself */
    int64_t drain_timeout_ms; /* from now on */
    size_t subscriptions;
};

/** Read, and clear, what the environment says of a service manager. While there is one thread. */
void worker_service_take(struct worker_service *service);
/** It ends before it was a worker, for @reason. */
void worker_service_failed(struct worker_service *service, const char *reason);

/** Warn if the environment was wrong. */
void worker_service_begin(struct worker_service *service);
/** Tell what has changed. */
void worker_service_look(struct worker_service *service, struct health *health,
                         const struct worker_service_facts *facts, int64_t now_ms);
/** @return how long the caller may sleep until the next look, if it wants to for @sleep_ms */
int64_t worker_service_sleep_ms(const struct worker_service *service, int64_t now_ms,
                                int64_t sleep_ms);

/** A reload begins, at @now_us of the monotonic clock. */
void worker_service_reloading(struct worker_service *service, int64_t now_us);
/** It is over; the next look says so. */
void worker_service_reloaded(struct worker_service *service);

#endif
