/* semaphores.h - the semaphores of a worker, for the event loop, whose messages wait without a
 * thread (`uses:` of a subscription), and for handlers, which wait with theirs
 * (warren_job_acquire()); all in one line. Who may go is decided by base/weights.h.
 *
 *   loop:    take > granted() or waits > give, when the attempt's chain has returned
 *   handler: acquire > release, or when its chain has returned
 *
 * What a job holds is remembered in its struct semaphore_hold, so that it can be given back from
 * another thread if the job's own is lost.
 * Bound: SEMAPHORES_MAX names since the start. What waits: messages within the prefetch, and
 * threads.
 * Thread: any, unless it says otherwise. Owner: the runtime, or a test without a broker.
 */
#ifndef WARREN_CONSUME_SEMAPHORES_H
#define WARREN_CONSUME_SEMAPHORES_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/condition.h"
#include "base/metrics.h"
#include "base/weights.h"
#include "config/config.h"

/** Names that a worker has had, those of earlier configurations included. */
#define SEMAPHORES_MAX 1024

struct semaphore {
    char *name;
    bool gone;            /* the configuration has it no more */
    atomic_uint messages; /* that wait for it */
    uint32_t handlers;    /* the same; under the lock */
    struct warren_series *size;
    struct warren_series *in_use;
    struct warren_series *waiting;
    struct warren_series *wait;
};

struct semaphores {
    pthread_mutex_t lock; /* guards all but what is atomic */
    struct weights weights;
    struct semaphore **items; /* by the index that the weights have; each stays where it is */
    size_t count;
    size_t room;
    struct metric_collector collector;
};

/** Somebody in the line. */
struct semaphore_wait {
    struct weights_claim claim;
    /** It has what it wanted, after it had to wait. Under the lock: do not block, call nothing of
     * this file. */
    void (*granted)(struct semaphore_wait *wait);
    void *user;
    bool has; /* granted, and not yet seen */
};

/** What a job holds. All zero: nothing. Guarded by the lock of the semaphores, but for `any`. */
struct semaphore_hold {
    bool any;                        /* the job's own: there is something to be given back */
    bool lost;                       /* its thread is: nothing more is given to it */
    const struct weights_want *uses; /* of its subscription; borrowed */
    size_t use_count;
    struct weights_want *acquired; /* one for each semaphore */
    size_t acquired_count;
    size_t room;
    size_t waiting; /* threads of the job that wait: there is room for what they will get */
};

void semaphores_init(struct semaphores *semaphores);
/** Nobody waits. A zeroed one is fine. */
void semaphores_done(struct semaphores *semaphores);

/**
 * There are semaphores of these names; those that are new have no size yet, and count as gone.
 *
 * @return WARREN_OK; WARREN_EFULL: too many since the start; WARREN_ENOMEM
 * Thread: one at a time, as the next one.
 */
enum warren_status semaphores_reserve(struct semaphores *semaphores,
                                      const struct config_semaphore *configs, size_t count);
/** From now on these have these sizes, and all others are gone. After semaphores_reserve(). */
void semaphores_set(struct semaphores *semaphores, const struct config_semaphore *configs,
                    size_t count);

/** @uses, whose names there are, as @ret_wants, to be freed. WARREN_OK or WARREN_ENOMEM. */
enum warren_status semaphores_wants(struct semaphores *semaphores, const struct config_use *uses,
                                    size_t count, struct weights_want **ret_wants);

/* ---- messages: the loop ---- */

void semaphore_wait_init(struct semaphore_wait *wait, void (*granted)(struct semaphore_wait *wait),
                         void *user);
/** @count places behind all others. @return the first of them */
uint64_t semaphores_places(struct semaphores *semaphores, uint32_t count);
/** @more messages (or fewer) wait for what @wants says. */
void semaphores_note(struct semaphores *semaphores, const struct weights_want *wants, size_t count,
                     int more);
/** One of them has waited so long. */
void semaphores_waited(struct semaphores *semaphores, const struct weights_want *wants,
                       size_t count, int64_t ns);
/** @wait, whose claim is written, has it now; false: it stands in the line, until
 * semaphores_granted() or semaphores_leave(). */
bool semaphores_take(struct semaphores *semaphores, struct semaphore_wait *wait);
/** Has it now what it stood for? Then it does not stand any more. */
bool semaphores_granted(struct semaphores *semaphores, struct semaphore_wait *wait);
/** It does not want it any more; if it was granted meanwhile, that is given back. */
void semaphores_leave(struct semaphores *semaphores, struct semaphore_wait *wait);
void semaphores_give(struct semaphores *semaphores, const struct weights_want *wants, size_t count);

/** Wait for it on this thread. */
void semaphores_await(struct semaphores *semaphores, const struct weights_want *wants,
                      size_t count);

/* ---- jobs ---- */

/** The job has what @wants says, which was taken for its message. */
void semaphores_hold(struct semaphores *semaphores, struct semaphore_hold *hold,
                     const struct weights_want *wants, size_t count);

/** Until when a thread may wait. */
struct semaphore_patience {
    bool alone;         /* no other thread of the job could give back what that has acquired */
    int64_t timeout_ms; /* of the real clock; below 0: no limit of its own */
    /** What is left of the job's time; 0 or less: it ends. Must not block. */
    int64_t (*left_ms)(void *user);
    void *user;
};

/**
 * @weight of @name for the job of @hold.
 *
 * @return WARREN_OK; WARREN_EINVAL (@weight, also together with what the job has of it, is 0 or
 *         more than the size), WARREN_ENOTFOUND, WARREN_EFULL (not at once, and no patience),
 *         WARREN_ETIMEOUT, WARREN_ECLOSED (the job is lost), WARREN_ENOMEM
 * @error  why
 */
enum warren_status semaphores_acquire(struct semaphores *semaphores, struct semaphore_hold *hold,
                                      const char *name, int64_t weight,
                                      const struct semaphore_patience *patience,
                                      struct warren_error *error);
/** @return WARREN_OK; WARREN_EINVAL: the job has not acquired so much; WARREN_ENOTFOUND */
enum warren_status semaphores_release(struct semaphores *semaphores, struct semaphore_hold *hold,
                                      const char *name, int64_t weight, struct warren_error *error);
/** All that the job holds is given back. */
void semaphores_end(struct semaphores *semaphores, struct semaphore_hold *hold);
/** The same of one whose thread is lost; for good. Harmless to repeat. */
void semaphores_lose(struct semaphores *semaphores, struct semaphore_hold *hold);
/** No job has it any more. */
void semaphore_hold_done(struct semaphore_hold *hold);

/** What left_ms() says may have changed for those that wait. */
void semaphores_look(struct semaphores *semaphores);

#endif
