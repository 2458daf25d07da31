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
#include "base/metrics.h"

/** Of one user, at most. */
#define SHARED_SERIES 4

struct shared;

/** A subscription that uses a thing; the state of its middleware. */
struct shared_user {
    struct shared *shared;
    struct metric_collector collector;
    struct warren_series *series[SHARED_SERIES]; /* NULL: none */
};

/** One kind of things shared, such as breakers. */
struct shared_kind {
    size_t size;      /* of the thing, whose first member is a struct shared */
    size_t user_size; /* of its users', whose first member is a struct shared_user */
    /** Begin with @options; all else is zero. */
    void (*init)(struct shared *fresh, const struct warren_options *options);
    /** Were both given the same options? With the mutex of @running. */
    bool (*same)(const struct shared *running, const struct shared *fresh);
    /** Register the series of @user; not of one on trial. */
    void (*meter)(struct shared_user *user, const struct warren_subscription_info *info);
    /** Put them; a struct shared_user. Thread: any. */
    void (*put)(void *user);
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
 * @ret_user  of the kind's user_size, zero beyond its first member
 * @return  WARREN_OK; WARREN_ECONFIG with @error: another subscription gave it other options;
 *          WARREN_ENOMEM
 */
enum warren_status shared_open(const struct shared_kind *kind,
                               const struct warren_subscription_info *info, void **ret_user,
                               struct warren_error *error);
/** Free @user, a struct shared_user, and with the last one the thing. NULL is fine. */
void shared_close(void *user);

#endif
