/* worker_subscriptions_private.h - subscriptions that are open, as worker_subscriptions.c (opening
 * and closing) and worker_change.c (other ones while the worker runs) share them. Thread: main.
 */
#ifndef WARREN_APP_WORKER_SUBSCRIPTIONS_PRIVATE_H
#define WARREN_APP_WORKER_SUBSCRIPTIONS_PRIVATE_H

#include <pthread.h>

#include "app/worker_subscriptions.h"
#include "base/list.h"
#include "base/middleware_own.h"
#include "plugin/instance.h"

/* A middleware, open: of one edition, or of several, one after the other. */
struct open_link {
    unsigned users; /* editions; the last one closes it */
    const char *name;
    const struct warren_options *options; /* in force, but for the fixed ones: */
    const struct warren_options *before;  /* those before a change that may be undone; NULL: none */
    struct warren_subscription_info info; /* has the options of the beginning */
    struct warren_subscription kept;
    struct middleware_instance instance;
};

/* The same of a handler. */
struct open_handler {
    unsigned users;
    struct warren_subscription_info info;
    struct warren_subscription kept;
    struct instance instance;
};

/* What one subscription has by one configuration. Its address is the runtime's token. */
struct open_edition {
    struct list link; /* of all of them, the newest last */
    struct open_handler *handler;
    struct open_link **links; /* outermost first */
    size_t link_count;
    struct chain_member *members; /* of these, what is open */
    struct runtime_subscription runs;
    const struct subscription *ended; /* that it was the last edition of; NULL: none */
    struct edition *retired;          /* by the runtime, under the lock of all; */
    struct open_edition *next;        /* of those */
};

struct open_subscription {
    const struct setup_subscription *setup;
    struct open_edition *edition;
    struct subscription *running; /* NULL: the runtime does not have it yet */
};

struct open_subscriptions {
    const struct worker_setup *setup;
    struct key_writer *key_writer;
    struct open_subscription *items; /* as many as the setup has, in its order */
    size_t count;
    struct list editions;
    pthread_mutex_t lock; /* guards: */
    struct open_edition *retired;
    bool only_builtin; /* see subscriptions_try() */
};

bool subscriptions_is_builtin(const struct warren_middleware *middleware);
/** How far a subscription may be opened with what is open already. */
struct open_reuse {
    struct open_edition *from;  /* NULL: nothing is */
    bool concurrency_is_same;   /* else who was told of it in its `open` is opened anew */
    bool dead_letters_are_same; /* the same */
    bool handler_is_same;       /* its options */
};
/**
 * Open handler and chain of @setup for @open, which borrows it.
 *
 * @ret  in the list of @open; also on failure, if not NULL: edition_close()
 */
enum warren_status
subscriptions_open_edition(struct open_subscriptions *open, const struct worker_setup *whole,
                           const struct setup_subscription *setup, const struct open_reuse *reuse,
                           struct open_edition **ret, struct warren_error *error);
/** @runs of @config is ordered by @order, fair by @fair, and one of @lanes; each may be NULL. */
void subscriptions_set_order(struct runtime_subscription *runs,
                             const struct config_subscription *config,
                             const struct config_order *order, const struct config_fair *fair,
                             const struct config_lanes *lanes);
/** Close what it was the last to have, innermost first, and free it. NULL is fine. */
void edition_close(struct open_edition *edition);
/** May that link go on as one with @options of @middleware? */
bool link_can_stay(const struct open_link *link, const struct warren_middleware *middleware,
                   const struct warren_options *options, const struct open_reuse *reuse);

#endif
