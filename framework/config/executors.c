/* executors.c - `executors:` at the top of the file, threads by name; and who shares them:
 * `executor`, `share` and `concurrency` of a subscription. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/mapping.h"
#include "config/options.h"

static enum warren_status read_executor(struct config_scope *scope, const struct config_node *key,
                                        const struct config_node *node,
                                        struct config_executor *executor)
{
    const struct warren_option *rows = config_executor_table.rows;
    struct config_value *values = config_values_new(scope, rows);
    char what[CONFIG_SHORT_NAME_MAX + 32];
    enum warren_status status;

    if (!values)
        return config_nomem(scope);
    status = config_check_short_name(scope, key, "the name of an executor");
    if (status != WARREN_OK)
        return status;
    snprintf(what, sizeof what, "executors.%s", key->text);
    status = config_mapping_read(scope, node, what, rows, values);
    if (status != WARREN_OK)
        return status;
    *executor = (struct config_executor){.written = {node, values}};
    config_store(&config_executor_table, values, executor);
    executor->name = key->text;
    return WARREN_OK;
}

enum warren_status config_executors_read(struct config_scope *scope, struct config_private *private,
                                         const struct config_node *node)
{
    struct config_executor *items;
    enum warren_status status = WARREN_OK;
    size_t count;

    if (!node || config_node_empty(node))
        return WARREN_OK;
    if (node->kind != CONFIG_MAPPING)
        return config_fail(
            scope, node, "executors must be a mapping, such as `executors: {mail: {threads: 8}}`");
    count = node->count / 2;
    if (count > CONFIG_EXECUTORS_MAX)
        return config_fail(scope, node, "%zu executors, but at most %d are allowed", count,
                           CONFIG_EXECUTORS_MAX);
    items = arena_alloc(scope->arena, (count + 1) * sizeof *items);
    if (!items)
        return config_nomem(scope);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = read_executor(scope, node->items[2 * i], node->items[2 * i + 1], &items[i]);
    private->config.executors = items;
    private->config.executor_count = count;
    return status;
}

/* ---- subscriptions ---- */

static enum warren_status unknown(struct config_scope *scope, const struct config *config,
                                  const struct config_node *node)
{
    static const struct config_named named = {"executor is", "executors", "{threads: 8}"};
    const char *names[CONFIG_EXECUTORS_MAX];

    for (size_t i = 0; i < config->executor_count; i++)
        names[i] = config->executors[i].name;
    return config_unknown_name(scope, node, &named, names, config->executor_count);
}

static const struct config_node *written(const struct config_subscription *subscription,
                                         const char *name)
{
    return config_node_get(subscription->written.node, name);
}

/* All threads of its executor, unless it says itself how many. */
static enum warren_status set_most(struct config_scope *scope,
                                   struct config_subscription *subscription)
{
    const struct config_executor *executor = subscription->shares;
    const struct config_node *node = written(subscription, "concurrency");

    subscription->workers = executor->threads;
    /* A weight is taken before there is a thread. Of its own threads one is free then; of shared
     * ones all may be in handlers that wait for that very weight. */
    if (subscription->use_count > 0)
        return config_fail(
            scope, written(subscription, "uses"),
            "uses does not go with an executor: what holds semaphores needs threads of "
            "its own (a handler may call warren_job_acquire)");
    if (!node) {
        subscription->concurrency = subscription->concurrency_least = executor->threads;
        return WARREN_OK;
    }
    if (subscription->concurrency_least != subscription->concurrency)
        return config_fail(scope, node,
                           "concurrency is a range, but the threads are those of executor %s, "
                           "expected how many of them at most",
                           executor->name);
    if (subscription->concurrency > executor->threads)
        return config_fail(scope, node,
                           "concurrency is %" PRId64 ", but executor %s has %" PRId64 " thread%s",
                           subscription->concurrency, executor->name, executor->threads,
                           executor->threads == 1 ? "" : "s");
    if (subscription->share > subscription->concurrency)
        return config_fail(scope, written(subscription, "share"),
                           "share is %" PRId64 ", more than concurrency (%" PRId64 ")",
                           subscription->share, subscription->concurrency);
    return WARREN_OK;
}

/* A number that is only this run's, such as --set consumer.concurrency=1, is no mistake of the
 * file. */
static bool may_be_range(const struct config_private *private,
                         const struct config_subscription *subscription)
{
    const struct config_value *value = &private->values[CONFIG_consumer_concurrency];
    const struct config_node *node = written(subscription, "concurrency");

    if (!node && value->given && value->node->source != &private->file)
        return true;
    return strchr(node ? node->text : value->node->text, '-');
}

/* It is the wait at which a range grows. */
static enum warren_status check_target_wait(struct config_scope *scope,
                                            const struct config_private *private,
                                            const struct config_subscription *subscription)
{
    const struct config_node *node = written(subscription, "concurrency_target_wait");

    if (!node)
        return WARREN_OK;
    if (subscription->shares)
        return config_fail(scope, node,
                           "concurrency_target_wait has no effect: executor %s has a number of "
                           "threads, and not a range",
                           subscription->shares->name);
    if (may_be_range(private, subscription))
        return WARREN_OK;
    return config_fail(scope, node,
                       "concurrency_target_wait has no effect: concurrency is %" PRId64
                       ", expected a range beside it, such as 2-32",
                       subscription->concurrency);
}

static enum warren_status read_executor_of(struct config_scope *scope, const struct config *config,
                                           struct config_subscription *subscription)
{
    subscription->workers = subscription->concurrency;
    if (!*subscription->executor) {
        if (config_node_get(subscription->written.node, "executor"))
            return config_fail(scope, written(subscription, "executor"),
                               "executor is empty, expected a name of `executors`");
        if (subscription->share == 0)
            return WARREN_OK;
        return config_fail(scope, written(subscription, "share"),
                           "share is of the threads of an executor, and there is no 'executor'");
    }
    for (size_t i = 0; i < config->executor_count; i++)
        if (strcmp(config->executors[i].name, subscription->executor) == 0)
            subscription->shares = &config->executors[i];
    if (!subscription->shares)
        return unknown(scope, config, written(subscription, "executor"));
    return set_most(scope, subscription);
}

/* What the shares of one executor are together, those that are not given being one at least. */
struct sum {
    int64_t given;
    int64_t members;
    int64_t others; /* that have given none */
};

static struct sum sum_of(const struct config_private *private,
                         const struct config_executor *executor)
{
    struct sum sum = {0, 0, 0};

    for (size_t i = 0; i < private->config.subscription_count; i++) {
        const struct config_subscription *subscription = &private->subscriptions[i];

        if (subscription->shares != executor)
            continue;
        sum.given += subscription->share;
        sum.members++;
        sum.others += subscription->share == 0;
    }
    return sum;
}

static enum warren_status share_out(struct config_scope *scope, struct config_private *private,
                                    const struct config_executor *executor)
{
    struct sum sum = sum_of(private, executor);
    int64_t left = executor->threads - sum.given;

    if (sum.given + sum.others > executor->threads && sum.members == 1)
        return config_fail(scope, executor->written.values[0].node,
                           "executor %s has %" PRId64
                           " thread%s, but the share of its one subscription is %" PRId64,
                           executor->name, executor->threads, executor->threads == 1 ? "" : "s",
                           sum.given);
    if (sum.given + sum.others > executor->threads)
        return config_fail(scope, executor->written.values[0].node,
                           "executor %s has %" PRId64 " thread%s, but the shares of its %" PRId64
                           " subscriptions are %" PRId64 " together (one at least for each)",
                           executor->name, executor->threads, executor->threads == 1 ? "" : "s",
                           sum.members, sum.given + sum.others);
    for (size_t i = 0; sum.others > 0 && i < private->config.subscription_count; i++) {
        struct config_subscription *subscription = &private->subscriptions[i];

        if (subscription->shares != executor || subscription->share > 0)
            continue;
        subscription->share = left / sum.others;
        if (subscription->share > subscription->concurrency)
            subscription->share = subscription->concurrency;
    }
    return WARREN_OK;
}

enum warren_status config_shares_read(struct config_scope *scope, struct config_private *private)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < private->config.subscription_count; i++) {
        status = read_executor_of(scope, &private->config, &private->subscriptions[i]);
        if (status == WARREN_OK)
            status = check_target_wait(scope, private, &private->subscriptions[i]);
    }
    for (size_t i = 0; status == WARREN_OK && i < private->config.executor_count; i++)
        status = share_out(scope, private, &private->config.executors[i]);
    return status;
}
