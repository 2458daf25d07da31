/* limits.c - attempts and time limits of the file against the broker's patience: see judge.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/worker_limits.h"
#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"
#include "config/value.h"
#include "middleware/builtin.h"

static void duration(int64_t ms, char text[CONFIG_NUMBER_SIZE])
{
    config_value_number(WARREN_OPTION_DURATION, ms, text, CONFIG_NUMBER_SIZE);
}

/* ---- ack-timeout ---- */

/* What the last one of a full prefetch may wait for and take. */
static int64_t longest_ms(const struct config_subscription *subscription, int64_t limit_ms)
{
    int64_t rounds =
        (subscription->prefetch + subscription->concurrency - 1) / subscription->concurrency;

    return limit_ms > INT64_MAX / rounds ? INT64_MAX : limit_ms * rounds;
}

static void judge_limit(struct findings *findings, const struct config_subscription *subscription,
                        const struct warren_options *deadline, int64_t timeout_ms)
{
    int64_t limit_ms = warren_options_int(deadline, "limit");
    int64_t hard_ms = warren_options_int(deadline, "hard_limit");
    int64_t most_ms = limit_ms > hard_ms ? limit_ms : hard_ms;
    char limit[CONFIG_NUMBER_SIZE];
    char longest[CONFIG_NUMBER_SIZE];
    char timeout[CONFIG_NUMBER_SIZE];

    duration(most_ms, limit);
    duration(longest_ms(subscription, limit_ms), longest);
    duration(timeout_ms, timeout);
    if (most_ms > timeout_ms)
        findings_warn(
            findings, "ack-timeout",
            "lower deadline's limits, or raise consumer_timeout of the broker and "
            "consumer.ack_timeout here",
            "queue '%s': an attempt may take %s, and the broker takes messages back after "
            "%s",
            subscription->queue, limit, timeout);
    else if (longest_ms(subscription, limit_ms) > timeout_ms)
        findings_warn(findings, "ack-timeout",
                      "lower prefetch or deadline's limit, or raise concurrency",
                      "queue '%s': if all attempts take as long as they may (%s), the last of "
                      "%" PRId64 " prefetched messages is done after %s, and the broker takes "
                      "messages back after %s",
                      subscription->queue, limit, subscription->prefetch, longest, timeout);
    else
        findings_ok(findings, "ack-timeout",
                    "queue '%s': an attempt may take %s, the broker takes messages back after %s",
                    subscription->queue, limit, timeout);
}

void judge_ack_timeout(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts)
{
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];
        const struct config_queue *queue =
            config_find_queue(&config->topology, subscription->queue);
        const struct config_middleware *link =
            config_find_link(subscription, middleware_deadline.name);
        int64_t timeout_ms = worker_limits_ack_timeout_ms(config, subscription->queue);
        char timeout[CONFIG_NUMBER_SIZE];

        duration(timeout_ms, timeout);
        if (queue && strcmp(queue->type, "quorum") != 0 && broker_facts_at_least(facts, 4, 3))
            findings_ok(findings, "ack-timeout",
                        "queue '%s': RabbitMQ 4.3 takes nothing back from a %s queue's consumer",
                        subscription->queue, queue->type);
        else if (link && link->options)
            judge_limit(findings, subscription, link->options, timeout_ms);
        else
            findings_ok(findings, "ack-timeout",
                        "queue '%s': no deadline is in its chain; the broker takes messages back "
                        "after %s (consumer.ack_timeout; a broker tells nobody what it has)",
                        subscription->queue, timeout);
    }
}

void check_ack_timeout(struct doctor *doctor)
{
    judge_ack_timeout(&doctor->findings, doctor->config, &doctor->broker);
}

/* ---- delivery-limit ---- */

/* The limit that the file says, or -1. */
static int64_t written_limit(const struct config *config, const char *name)
{
    const struct config_queue *queue = config_find_queue(&config->topology, name);
    const struct warren_value *limit =
        queue && !queue->passive && !queue->limit_added && strcmp(queue->type, "quorum") == 0
            ? warren_table_get(&queue->arguments, CONFIG_DELIVERY_LIMIT)
            : NULL;

    return limit && limit->type == WARREN_I64 ? limit->as.integer : -1;
}

/* What the broker was found to have, or -1. */
static int64_t found_limit(const struct broker_facts *facts, const char *queue)
{
    for (size_t i = 0; i < facts->note_count; i++)
        if (facts->notes[i].kind == NOTE_LIMITED && strcmp(facts->notes[i].item, queue) == 0)
            return facts->notes[i].limit;
    return -1;
}

static void judge_one(struct findings *findings, const struct config_subscription *subscription,
                      int64_t written, int64_t found)
{
    int64_t limit = written >= 0 && (found < 0 || written < found) ? written : found;
    int64_t attempts;
    bool below = worker_limits_below(subscription, limit, &attempts);

    if (below && attempts == 0)
        findings_warn(findings, "delivery-limit",
                      "see \"The broker's own limit\" in docs/dead-letters.md",
                      "queue '%s' has a delivery limit of %" PRId64 ", and retry has no limit: the "
                      "broker gives messages up first",
                      subscription->queue, limit);
    else if (below)
        findings_warn(findings, "delivery-limit", "raise x-delivery-limit, or lower max_attempts",
                      "queue '%s' has a delivery limit of %" PRId64 ", which is below retry's "
                      "max_attempts of %" PRId64,
                      subscription->queue, limit, attempts);
    else if (found >= 0)
        findings_warn(
            findings, "delivery-limit", "see \"The broker's own limit\" in docs/dead-letters.md",
            "queue '%s' has a delivery limit of %" PRId64 ", which the worker did not set: "
            "each restart counts as a delivery of all that was prefetched",
            subscription->queue, found);
    else if (limit >= 0)
        findings_ok(findings, "delivery-limit",
                    "queue '%s': %" PRId64 ", and retry's attempts are below", subscription->queue,
                    limit);
    else
        findings_ok(findings, "delivery-limit", "queue '%s': none that is known",
                    subscription->queue);
}

void judge_delivery_limit(struct findings *findings, const struct config *config,
                          const struct broker_facts *facts)
{
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];

        judge_one(findings, subscription, written_limit(config, subscription->queue),
                  found_limit(facts, subscription->queue));
    }
}

void check_delivery_limit(struct doctor *doctor)
{
    judge_delivery_limit(&doctor->findings, doctor->config, &doctor->broker);
}
