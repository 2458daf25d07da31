/* worker_subscriptions.h - all subscriptions of a worker with their handlers and middlewares open.
 * Thread: main. Elsewhere: which they are (worker_setup.h), what runs them
 * (consume/runtime/runtime.h).
 */
#ifndef WARREN_APP_WORKER_SUBSCRIPTIONS_H
#define WARREN_APP_WORKER_SUBSCRIPTIONS_H

#include "app/worker_setup.h"
#include "base/name_list.h"
#include "consume/runtime/runtime.h"
#include "store/writer/key_writer.h"

struct open_subscriptions;

/**
 * Open the middlewares of each subscription, outermost first, then its handler.
 *
 * @setup      borrowed until subscriptions_close()
 * @key_writer     for those that remember messages; NULL: they handle every one. It is stopped
 * before subscriptions_close()
 * @ret_open  also on failure; subscriptions_close() in any case
 * @return     WARREN_OK; WARREN_ECONFIG, WARREN_EPLUGIN or WARREN_ENOMEM with @error
 */
enum warren_status subscriptions_open(const struct worker_setup *setup,
                                      struct key_writer *key_writer,
                                      struct open_subscriptions **ret_open,
                                      struct warren_error *error);
/** Close what is open, the last opened first. NULL is fine. */
void subscriptions_close(struct open_subscriptions *open);
/** Close what is open of the subscriptions that @may says; the rest is left as it is. */
void subscriptions_close_some(struct open_subscriptions *open,
                              bool (*may)(void *user, size_t index), void *user);

/**
 * Open and close warren's own middlewares, and ask the `check` of others, nothing else: finds
 * options that contradict each other, of one or of several subscriptions. Also beside those that
 * are open.
 *
 * @return as subscriptions_open()
 */
enum warren_status subscriptions_try(const struct worker_setup *setup, struct warren_error *error);

/** What the runtime wants to know of the subscription at @index. Lives until
 * subscriptions_close(). */
const struct runtime_subscription *subscriptions_at(const struct open_subscriptions *open,
                                                    size_t index);

/** The handlers' `reopen`. */
void subscriptions_reopen(const struct open_subscriptions *open);

/**
 * Give each middleware its options of @config where they differ from those in force. A
 * subscription whose chain has other links there is left alone.
 *
 * @config  after worker_setup_again()
 * @fixed   options that differ and cannot change while the worker runs are added:
 *          "breaker.name of payments"
 * @return  how many middlewares have new options: if not 0, @config must live until
 * subscriptions_close()
 */
size_t subscriptions_reload(struct open_subscriptions *open, const struct config *config,
                            struct name_list *fixed);

#endif
