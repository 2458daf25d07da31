/* worker_limits.c - see worker_limits.h. Attempts of which the broker learns nothing (in memory, or
 * by a copy) do not count there; those that end with the process, and what is handed back, do.
 */
#include "app/worker_limits.h"

#include <string.h>

#include "app/worker_setup.h"
#include "base/log_event.h"
#include "config/handler_options.h"
#include "middleware/builtin.h"

static const struct config_queue *declared_queue(const struct config *config, const char *name)
{
    const struct config_queue *queue = config_find_queue(&config->topology, name);

    return queue && !queue->passive ? queue : NULL;
}

/* Without an own limit there is none; see config/declared.c. */
static const struct config_queue *quorum_queue(const struct config *config, const char *name)
{
    const struct config_queue *queue = declared_queue(config, name);

    return queue && strcmp(queue->type, "quorum") == 0 && !queue->limit_added ? queue : NULL;
}

bool worker_limits_below(const struct config_subscription *subscription, int64_t limit,
                         int64_t *ret_attempts)
{
    const struct config_middleware *retry = config_find_link(subscription, middleware_retry.name);

    *ret_attempts = 0;
    if (retry && retry->options)
        *ret_attempts = retry_attempts(warren_options_int(retry->options, "max_attempts"),
                                       subscription->dead_exchange != NULL);
    return retry && retry->options && limit >= 0 && (*ret_attempts == 0 || *ret_attempts > limit);
}

static void warn_if_below(const struct config_subscription *subscription, int64_t limit,
                          const char *event)
{
    int64_t attempts;

    if (worker_limits_below(subscription, limit, &attempts))
        log_event(WARREN_LOG_WARN, event, LOG_TEXT("queue", subscription->queue),
                  LOG_INT("delivery_limit", limit), LOG_INT("max_attempts", attempts));
}

void worker_limits_at_start(const struct config *config)
{
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];
        const struct config_queue *queue = quorum_queue(config, subscription->queue);
        const struct warren_value *limit =
            queue ? warren_table_get(&queue->arguments, CONFIG_DELIVERY_LIMIT) : NULL;

        if (limit && limit->type == WARREN_I64)
            warn_if_below(subscription, limit->as.integer,
                          "the queue's x-delivery-limit is below retry's max_attempts: the broker "
                          "may give a message up before its last attempt");
    }
}

int64_t worker_limits_ack_timeout_ms(const struct config *config, const char *name)
{
    const struct config_queue *queue = declared_queue(config, name);
    const struct warren_value *own =
        queue ? warren_table_get(&queue->arguments, "x-consumer-timeout") : NULL;

    if (own && own->type == WARREN_I64 && own->as.integer > 0)
        return own->as.integer;
    return config->consumer.ack_timeout_ms;
}

uint32_t worker_limits_left_ms(int64_t end_ms, int64_t now_ms, uint32_t most_ms)
{
    int64_t left_ms = end_ms - now_ms;

    if (left_ms <= 0)
        return 0;
    return left_ms < most_ms ? (uint32_t)left_ms : most_ms;
}
