/* subscription_order.h - `order:` of a subscription: who of its messages goes on, and who waits for
 * the one before it with the same key.
 *
 *   arrived > [lines] > admission > ... workers ... > settled: the next of its line goes on
 *
 * The first of a line stays that until it is settled, however often it is attempted; with
 * on_failure skip it leaves the line when its attempt has failed, and comes to the end of it when
 * the next one is due. It also stays that when its channel is lost while its handler runs: what the
 * broker delivers again waits behind it. What waits of a channel that is gone is dropped.
 * Bound: what waits is unsettled, and so within prefetch and held.
 * Thread: the loop's, but the counts. Owner: struct subscription; a subscription without `order`
 * has none.
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_ORDER_H
#define WARREN_CONSUME_SUBSCRIPTION_ORDER_H

#include <stdatomic.h>

#include "base/metrics.h"
#include "consume/job/job.h"
#include "consume/order/order_lines.h"

#define ORDER_LACK_SIZE 400

struct subscription;
struct runtime_subscription;

struct subscription_order_metrics {
    struct warren_series *waiting;
    struct warren_series *waiting_max;
    struct warren_series *full;
    struct warren_series *keys;
    struct warren_series *missing;
};

struct subscription_order {
    const struct config_order *config; /* borrowed */
    struct order_lines lines;
    struct batch released;  /* the first of their lines since the last look */
    struct warren_job *job; /* to ask the handler with; NULL: it is not asked */
    char lack[ORDER_LACK_SIZE];
    bool told_missing;
    struct subscription_order_metrics metrics;
    /* Read by any thread. */
    _Atomic uint32_t waiting;
    _Atomic uint32_t keys;
    _Atomic uint64_t full; /* times that more waited than `held` */
    _Atomic uint64_t missing;
};

/** Of @what, which has one. WARREN_OK or WARREN_ENOMEM; subscription_order_free() in any case. */
enum warren_status subscription_order_new(struct subscription *subscription,
                                          const struct runtime_subscription *what);
/** Nothing may be in a line. Without one that is fine. */
void subscription_order_free(struct subscription *subscription);
/** Is a plugin's code run here: the handler's `key`? */
bool subscription_order_watched(const struct runtime_subscription *what);

/** Of @batch stay those that go on; the others wait. Those that have a line keep it. */
void subscription_line_up(struct subscription *subscription, struct batch *batch);
/** @attempt, which may be in no line, is settled: whoever is behind it will go on. */
void subscription_leave_line(struct subscription *subscription, struct attempt *attempt);
/** Its attempt has failed, and the next one, or its copy, waits: the same with on_failure skip. */
void subscription_pass_over(struct subscription *subscription, struct attempt *attempt);
/** Those who became the first of their lines go on. */
void subscription_let_go(struct subscription *subscription);
/** Append all that wait to @batch. */
void subscription_take_lines(struct subscription *subscription, struct batch *batch);
/** How many wait. */
uint32_t subscription_lined(const struct subscription *subscription);

/** Into its series: for a collector. Thread: any. */
void subscription_order_put(struct subscription *subscription);

#endif
