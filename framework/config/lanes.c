/* lanes.c - `lanes:` of a subscription: a second queue for what is old, or has failed. The slow
 * lane becomes a subscription of its own, behind those of the file.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/mapping.h"
#include "config/options.h"
#include "config/secret.h"

#define SHARE_MAX 1000

static const struct config_node *node_of(const struct config_lanes *lanes, const char *name)
{
    const struct config_node *node = config_node_get(lanes->written.node, name);

    return node ? node : lanes->written.node;
}

/* ---- what is written ---- */

/* Digits up to @end. @return 0: it is no share */
static uint32_t share_of(const char *text, char end, const char **ret_rest)
{
    uint32_t share = 0;

    while (*text >= '0' && *text <= '9' && share <= SHARE_MAX)
        share = share * 10 + (uint32_t)(*text++ - '0');
    if (*text != end || share > SHARE_MAX)
        return 0;
    *ret_rest = text + (end != '\0');
    return share;
}

static enum warren_status read_share(struct config_scope *scope, struct config_lanes *lanes)
{
    const char *rest = "";
    char word[CONFIG_WORD_SIZE];

    lanes->fast_share = share_of(lanes->share, ':', &rest);
    lanes->slow_share = lanes->fast_share > 0 ? share_of(rest, '\0', &rest) : 0;
    if (lanes->slow_share > 0)
        return WARREN_OK;
    return config_fail(scope, node_of(lanes, "share"),
                       "share is '%s', expected two numbers from 1 to %d, such as 4:1",
                       config_mask(lanes->share, word, sizeof word), SHARE_MAX);
}

static enum warren_status check_names(struct config_scope *scope,
                                      const struct config_subscription *subscription)
{
    const struct config_lanes *lanes = subscription->lanes;
    char word[CONFIG_WORD_SIZE];
    char queue[CONFIG_WORD_SIZE];
    enum warren_status status =
        config_check_name(scope, node_of(lanes, "slow"), "the slow lane", lanes->slow);

    if (status != WARREN_OK)
        return status;
    config_mask(subscription->queue, queue, sizeof queue);
    if (*lanes->fast && strcmp(lanes->fast, subscription->queue) != 0)
        return config_fail(
            scope, node_of(lanes, "fast"),
            "the fast lane is '%s', and the subscription's queue is '%s': it is that, "
            "and may be left out",
            config_mask(lanes->fast, word, sizeof word), queue);
    if (strpbrk(lanes->slow, "\r\n"))
        return config_fail(scope, node_of(lanes, "slow"),
                           "the slow lane must have no line ends: RabbitMQ takes them out");
    if (strcmp(lanes->slow, subscription->queue) == 0)
        return config_fail(scope, node_of(lanes, "slow"),
                           "the slow lane is '%s', which is the fast one, expected another queue",
                           queue);
    return WARREN_OK;
}

static enum warren_status check_numbers(struct config_scope *scope,
                                        const struct config_subscription *subscription)
{
    const struct config_lanes *lanes = subscription->lanes;

    if (lanes->slow_after > 0 && lanes->slow_after < 1000)
        return config_fail(scope, node_of(lanes, "slow_after"),
                           "slow_after is below a second, and a message's timestamp has whole "
                           "seconds");
    if (lanes->concurrency > 0 && subscription->concurrency == 1 && !*subscription->executor)
        return config_fail(scope, node_of(lanes, "concurrency"),
                           "concurrency of the slow lane has no effect: that of both is 1, which "
                           "they have by turns");
    if (lanes->concurrency <= subscription->concurrency)
        return WARREN_OK;
    return config_fail(scope, node_of(lanes, "concurrency"),
                       "concurrency of the slow lane (%" PRId64
                       ") must not exceed that of both (%" PRId64 ")",
                       lanes->concurrency, subscription->concurrency);
}

static enum warren_status check_others(struct config_scope *scope,
                                       const struct config_subscription *subscription)
{
    if (*subscription->executor)
        return config_fail(scope, subscription->lanes->written.node,
                           "lanes and executor do not go together: lanes share threads of their "
                           "own");
    if (!subscription->order)
        return WARREN_OK;
    return config_fail(scope, subscription->lanes->written.node,
                       "lanes and order do not go together: what moves to the slow lane loses its "
                       "place");
}

enum warren_status config_lanes_read(struct config_scope *scope,
                                     struct config_subscription *subscription)
{
    static const struct config_part part = {
        .table = &config_lanes_table,
        .name = "lanes",
        .what = "the lanes of a subscription",
        .example = "{slow: orders.slow, slow_after: 5m}",
    };
    enum warren_status status;
    struct config_lanes *lanes = config_part_read(
        scope, config_node_get(subscription->written.node, "lanes"), &part, &status);

    if (!lanes)
        return status;
    subscription->lanes = lanes;
    status = check_names(scope, subscription);
    if (status == WARREN_OK)
        status = read_share(scope, lanes);
    if (status == WARREN_OK)
        status = check_numbers(scope, subscription);
    return status == WARREN_OK ? check_others(scope, subscription) : status;
}

/* ---- what becomes of it ---- */

/* Of so many. */
static int64_t slow_share(const struct config_lanes *lanes, int64_t all)
{
    int64_t both = lanes->fast_share + lanes->slow_share;

    return (all * lanes->slow_share + both - 1) / both;
}

/* A range for both is one for each. */
static void set_concurrency(struct config_subscription *slow,
                            const struct config_subscription *fast)
{
    const struct config_lanes *lanes = fast->lanes;
    int64_t least = slow_share(lanes, fast->concurrency_least);

    slow->concurrency =
        lanes->concurrency > 0 ? lanes->concurrency : slow_share(lanes, fast->concurrency);
    slow->concurrency_least = least < slow->concurrency ? least : slow->concurrency;
    if (fast->concurrency_least == fast->concurrency)
        slow->concurrency_least = slow->concurrency;
}

/* Another subscription of that queue would handle what waits for this one's handler. */
static enum warren_status check_free(struct config_scope *scope, const struct config *config,
                                     const struct config_lanes *lanes)
{
    char word[CONFIG_WORD_SIZE];

    for (size_t i = 0; i < config->subscription_count; i++)
        if (strcmp(config->subscriptions[i].queue, lanes->slow) == 0)
            return config_fail(scope, node_of(lanes, "slow"),
                               "the slow lane '%s' has a subscription of its own, or is another's "
                               "slow lane, expected a queue that nobody else consumes here",
                               config_mask(lanes->slow, word, sizeof word));
    return WARREN_OK;
}

enum warren_status config_lanes_add(struct config_scope *scope, struct config_private *private)
{
    struct config *config = &private->config;
    size_t count = config->subscription_count;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < count; i++) {
        const struct config_subscription *fast = &private->subscriptions[i];
        struct config_subscription *slow = &private->subscriptions[config->subscription_count];

        if (!fast->lanes)
            continue;
        status = check_free(scope, config, fast->lanes);
        if (status != WARREN_OK)
            break;
        *slow = *fast;
        slow->queue = fast->lanes->slow;
        set_concurrency(slow, fast);
        slow->slow_lane_of = fast->queue;
        config->subscription_count++;
    }
    return status;
}

/* Nothing is put back into a stream, and nothing is taken out of it. */
static enum warren_status check_kind(struct config_scope *scope,
                                     const struct config_subscription *subscription,
                                     const struct config_queue *queue)
{
    bool offset = warren_table_get(&subscription->arguments, "x-stream-offset") != NULL;
    char word[CONFIG_WORD_SIZE];

    if (!offset && (!queue || strcmp(queue->type, "stream") != 0))
        return WARREN_OK;
    return config_fail(scope, subscription->lanes->written.node,
                       "'%s' is a stream, which has no lanes: nothing leaves it",
                       config_mask(subscription->queue, word, sizeof word));
}

enum warren_status config_lanes_declared(struct config_scope *scope, struct config_private *private)
{
    struct config_topology *topology = &private->config.topology;
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < private->config.subscription_count; i++) {
        const struct config_subscription *slow = &private->subscriptions[i];
        const struct config_queue *queue = config_find_queue(topology, slow->queue);
        const struct config_queue *fast =
            slow->slow_lane_of ? config_find_queue(topology, slow->slow_lane_of) : NULL;

        if (!slow->lanes)
            continue;
        status = check_kind(scope, slow, queue);
        if (status != WARREN_OK || queue || !fast || fast->passive)
            continue;
        private->queues[topology->queue_count] = *fast;
        private->queues[topology->queue_count].written = (struct config_written){NULL, NULL};
        private->queues[topology->queue_count].added = true;
        private->queues[topology->queue_count++].name = slow->queue;
    }
    return status;
}

enum warren_status config_lanes_check_dead(struct config_scope *scope,
                                           const struct config_private *private)
{
    const struct config *config = &private->config;
    char queue[CONFIG_WORD_SIZE];
    char word[CONFIG_WORD_SIZE];

    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *slow = &config->subscriptions[i];

        for (size_t k = 0; slow->slow_lane_of && k < config->subscription_count; k++) {
            const struct config_subscription *other = &config->subscriptions[k];

            if (!other->slow_lane_of && strcmp(other->dead_queue, slow->queue) == 0)
                return config_fail(scope, node_of(slow->lanes, "slow"),
                                   "the slow lane '%s' is the queue of the dead letters of '%s', "
                                   "expected another queue",
                                   config_mask(slow->queue, word, sizeof word),
                                   config_mask(other->queue, queue, sizeof queue));
        }
    }
    return WARREN_OK;
}

enum warren_status config_lanes_stay(const struct config *before, const struct config *now,
                                     struct warren_error *error)
{
    for (size_t i = 0; i < before->subscription_count; i++) {
        const struct config_subscription *was = &before->subscriptions[i];
        const struct config_subscription *is = config_same_subscription(before, i, now);

        if (is && (config_subscription_differs(was, is, "lanes") ||
                   !was->slow_lane_of != !is->slow_lane_of))
            return error_set(error, WARREN_ECONFIG,
                             "%s: the lanes of %s are other ones, which takes a restart", is->where,
                             is->queue);
    }
    return WARREN_OK;
}
