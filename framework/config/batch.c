/* batch.c - `batch:` of a subscription: how many messages its handler gets at once. */
#include <inttypes.h>

#include "config/mapping.h"
#include "config/options.h"

/* Each message that a worker has at once has a slot in the flight recorder. */
#define AT_ONCE_MAX 65536

/* The broker sends no more than the prefetch, so there would never be as many. */
static enum warren_status check_size(struct config_scope *scope,
                                     const struct config_subscription *subscription,
                                     const struct config_batch *batch)
{
    const struct config_node *node = batch->written.values[0].node;

    if (node->line == 0)
        node = batch->written.node;
    if (batch->size * subscription->concurrency > AT_ONCE_MAX)
        return config_fail(scope, node,
                           "size of a batch (%" PRId64 ") times concurrency (%" PRId64
                           ") must not exceed %d",
                           batch->size, subscription->concurrency, AT_ONCE_MAX);
    if (batch->size <= subscription->prefetch)
        return WARREN_OK;
    return config_fail(scope, node,
                       "size of a batch is %" PRId64 ", above the prefetch (%" PRId64
                       "): it would never be full; raise `prefetch` to two or three times the size",
                       batch->size, subscription->prefetch);
}

/* Each of them lets go no more messages than there are threads for, so that a batch would not
 * become full; and shared threads take one message each. */
static enum warren_status check_company(struct config_scope *scope,
                                        const struct config_subscription *subscription)
{
    const char *other = subscription->fair        ? "fair"
                        : subscription->lanes     ? "lanes"
                        : *subscription->executor ? "an executor"
                                                  : NULL;

    if (!other)
        return WARREN_OK;
    return config_fail(scope, subscription->batch_node,
                       "batch and %s do not go together: a batch needs messages that need not wait "
                       "for a thread each",
                       other);
}

enum warren_status config_batch_read(struct config_scope *scope,
                                     struct config_subscription *subscription)
{
    static const struct config_part part = {
        .table = &config_batch_table,
        .name = "batch",
        .what = "the batch of a subscription",
        .example = "{size: 100}",
    };
    enum warren_status status;
    struct config_batch *batch = config_part_read(scope, subscription->batch_node, &part, &status);

    if (!batch)
        return status;
    subscription->batch = batch;
    status = check_company(scope, subscription);
    return status == WARREN_OK ? check_size(scope, subscription, batch) : status;
}
