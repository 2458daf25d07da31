/* worker_subscriptions.h - all subscriptions of a worker with their handlers and middlewares open.
 * Thread: main. Elsewhere: which they are (worker_setup.h), what runs them
 * (consume/runtime/runtime.h).
 */
#ifndef WARREN_APP_WORKER_SUBSCRIPTIONS_H
#define WARREN_APP_WORKER_SUBSCRIPTIONS_H

#include "app/reload_report.h"
#include "app/worker_setup.h"
#include "base/name_list.h"
#include "consume/runtime/runtime.h"
#include "store/writer/key_writer.h"

struct open_subscription;
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
                              bool (*may)(void *user, const struct open_subscription *which),
                              void *user);

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
/** @runtime was made of them. */
void subscriptions_run(struct open_subscriptions *open, struct runtime *runtime);
/** That which the runtime has for the one at @index of the configuration in force; NULL: there is
 * no such. Thread: any. */
struct subscription *subscriptions_running(struct open_subscriptions *open, size_t index,
                                           const char **ret_queue);
struct subscription *subscriptions_running_of(const struct open_subscription *which);
const struct setup_subscription *subscriptions_setup_of(const struct open_subscription *which);

/** The handlers' `reopen`. */
void subscriptions_reopen(const struct open_subscriptions *open);
/** runtime_events.retired: note it for subscriptions_close_retired(). Thread: any. */
void subscriptions_retired(struct open_subscriptions *open, void *token, struct edition *edition);
/** Close what editions that are over were the last to have; of one whose subscription has ended,
 * @ended is called. */
void subscriptions_close_retired(struct open_subscriptions *open,
                                 void (*ended)(void *user, const struct subscription *running),
                                 void *user);

/* ---- other ones while they run: worker_change.c ---- */

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

/** What is to become of a worker's subscriptions: all zero at first. */
struct subscriptions_plan {
    struct open_subscriptions *open;
    const struct worker_setup *now;
    struct open_subscription *items; /* as many as @now has, in its order */
    struct runtime_change *changes;
    size_t *places; /* of each change: which of @items; of RUNTIME_REMOVE which of those before */
    size_t change_count;
};

/**
 * Compare those that run with @now, open what is new, and give those that stay their options.
 *
 * @now     as worker_setup_again() made it; it must live until subscriptions_close() if the plan is
 *          carried out
 * @report  gets what changes, and what cannot
 * @return  as subscriptions_open(); subscriptions_plan_undo(), or _done() when it was carried out
 */
enum warren_status subscriptions_plan(struct open_subscriptions *open,
                                      const struct worker_setup *now, struct reload_report *report,
                                      struct subscriptions_plan *plan, struct warren_error *error);
/** What change @index is to make, of RUNTIME_ADD. */
struct runtime_subscription *subscriptions_planned(const struct subscriptions_plan *plan,
                                                   size_t index);
/** All is as it was. */
void subscriptions_plan_undo(struct subscriptions_plan *plan);
/** runtime_change() has made its changes. */
void subscriptions_plan_done(struct subscriptions_plan *plan);

#endif
