/* shared.h - what several subscriptions of this process have in common, found by its name.
 * The list of these is a mutable global: the one way that two subscriptions can mean the same
 * breaker.
 * Thread: any.
 */
#ifndef WARREN_MIDDLEWARE_SHARED_H
#define WARREN_MIDDLEWARE_SHARED_H

#include <pthread.h>

#include <warren/handler.h>

#include "base/list.h"

struct shared;

/** One kind of things shared, such as breakers. */
struct shared_kind {
    size_t size; /* of the thing, whose first member is a struct shared */
    /** Begin with @options; all else is zero. */
    void (*init)(struct shared *fresh, const struct warren_options *options);
    /** Were both given the same options? With the mutex of @running. */
    bool (*same)(const struct shared *running, const struct shared *fresh);
};

struct shared {
    const struct shared_kind *kind;
    struct list link;
    pthread_mutex_t mutex; /* the thing's */
    char *name;            /* the option of that name; "" is shared with nobody */
    char *queue;           /* of the subscription that came first, for errors */
    unsigned users;
    bool on_trial; /* see builtin_try() */
};

/**
 * The subscription of @info uses the thing that its options name, or a new one.
 *
 * @return  WARREN_OK; WARREN_ECONFIG with @error: another subscription gave it other options;
 *          WARREN_ENOMEM
 */
enum warren_status shared_open(const struct shared_kind *kind,
                               const struct warren_subscription_info *info,
                               struct shared **ret_shared, struct warren_error *error);
/** The last user frees it. */
void shared_close(struct shared *shared);

#endif
