/* worker_posts.h - all subscriptions of a worker with their handlers and middlewares open.
 * Thread: main. Elsewhere: which they are (worker_setup.h), what runs them
 * (consume/runtime/runtime.h).
 */
#ifndef WARREN_APP_WORKER_POSTS_H
#define WARREN_APP_WORKER_POSTS_H

#include "app/worker_setup.h"
#include "base/name_list.h"
#include "consume/runtime/runtime.h"
#include "store/writer/keeper.h"

struct posts;

/**
 * Open the middlewares of each subscription, outermost first, then its handler.
 *
 * @setup      borrowed until posts_close()
 * @keeper     for those that remember messages; NULL: they handle every one. It is stopped before
 *             posts_close()
 * @ret_posts  also on failure; posts_close() in any case
 * @return     WARREN_OK; WARREN_ECONFIG, WARREN_EPLUGIN or WARREN_ENOMEM with @error
 */
enum warren_status posts_open(const struct worker_setup *setup, struct keeper *keeper,
                              struct posts **ret_posts, struct warren_error *error);
/** Close what is open, the last opened first. NULL is fine. */
void posts_close(struct posts *posts);
/** Close what is open of the subscriptions that @may says; the rest is left as it is. */
void posts_close_some(struct posts *posts, bool (*may)(void *user, size_t index), void *user);

/**
 * Open and close warren's own middlewares, and nothing else: finds options that contradict each
 * other, of one or of several subscriptions. Also beside posts that are open.
 *
 * @return as posts_open()
 */
enum warren_status posts_try(const struct worker_setup *setup, struct warren_error *error);

/** What the runtime wants to know of the subscription at @index; borrows from @posts. */
void posts_fill(const struct posts *posts, size_t index, struct runtime_subscription *subscription);

/** The handlers' `reopen`. */
void posts_reopen(const struct posts *posts);

/**
 * Give each middleware its options of @config where they differ from those in force. A
 * subscription whose chain has other links there is left alone.
 *
 * @config  after worker_setup_again()
 * @fixed   options that differ and cannot change while the worker runs are added:
 *          "breaker.name of payments"
 * @return  how many middlewares have new options: if not 0, @config must live until posts_close()
 */
size_t posts_reload(struct posts *posts, const struct config *config, struct name_list *fixed);

#endif
