/* subscription_threads.h - the threads that a subscription's messages are handled on: its own, or
 * those of an executor that it shares with others.
 * Thread: the loop's, or who makes and ends the runtime. Elsewhere: how many of its own there are
 * (subscription_pool.h), what they do (consume/workers/).
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_THREADS_H
#define WARREN_CONSUME_SUBSCRIPTION_THREADS_H

#include "consume/workers/executor.h"

struct runtime;
struct runtime_subscription;
struct subscription;

/** The most workers that it may have, by number. */
uint32_t subscription_workers(const struct runtime_subscription *what);
/** Make its runner: threads of its own, or those of an executor, which is made if there is none of
 * the name. As threads_new(). */
enum warren_status subscription_threads_new(struct subscription *subscription,
                                            const struct runtime_subscription *what,
                                            const struct runner_calls *calls,
                                            struct warren_error *error);
/** No subscription runs anything any more: end the threads of executors. */
void runtime_stop_executors(struct runtime *runtime);
/** All subscriptions were freed. */
void runtime_free_executors(struct runtime *runtime);

#endif
