/* shared.h - what several subscriptions of this process have in common, found by its name.
 * Embedded in the thing shared. A registry of these is a mutable global: the one way that two
 * subscriptions can mean the same breaker.
 * Thread: any.
 */
#ifndef WARREN_MIDDLEWARE_SHARED_H
#define WARREN_MIDDLEWARE_SHARED_H

#include <pthread.h>
#include <stdbool.h>

#include <warren/status.h>

#include "base/list.h"

struct shared {
    struct list link;
    char *name;  /* "" is shared with nobody */
    char *queue; /* of the subscription that came first, for errors */
    unsigned users;
    bool on_trial; /* see shared_try() */
};

struct shared_registry {
    pthread_mutex_t mutex;
    struct list all;
};

#define SHARED_REGISTRY(variable)                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER,                                                                 \
        {                                                                                          \
            &(variable).all, &(variable).all                                                       \
        }                                                                                          \
    }

/** @name and @queue are copied. @return WARREN_OK or WARREN_ENOMEM */
enum warren_status shared_init(struct shared *shared, const char *name, const char *queue);
/** A zeroed one is fine. */
void shared_done(struct shared *shared);

/**
 * One more subscription uses the thing of this name.
 *
 * @return  @fresh, which is registered now; or the one that has been there, and @fresh is still
 *          the caller's to free
 */
struct shared *shared_join(struct shared_registry *registry, struct shared *fresh);

/**
 * What this thread joins from now on, until shared_try(false), is apart from what runs: for options
 * that are only tried while others of the same names are in force.
 */
void shared_try(bool on);

/** One user fewer. @return true: it was the last one, and the caller frees the thing */
bool shared_leave(struct shared_registry *registry, struct shared *shared);

#endif
