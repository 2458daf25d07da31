#include "command/broker/broker_plan.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology/doomed.h"

/* ---- the look ---- */

static bool has_exchange(const struct config_topology *topology, const char *name)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (strcmp(topology->exchanges[i].name, name) == 0)
            return true;
    return false;
}

/* Also the exchange that the argument @name is for. */
static void look_for_other(struct broker_plan *plan, const struct warren_table *arguments,
                           const char *name)
{
    struct config_topology *round = &plan->round;
    const struct warren_value *value = warren_table_get(arguments, name);
    const char *other = value && value->type == WARREN_STRING ? value->as.bytes.data : "";

    if (*other && !has_exchange(round, other))
        plan->exchanges[round->exchange_count++] =
            (struct config_exchange){.name = other, .type = "direct", .passive = true};
}

static void look_for_others(struct broker_plan *plan)
{
    const struct config_topology *topology = &plan->config->topology;

    for (size_t i = 0; i < topology->queue_count; i++)
        look_for_other(plan, &topology->queues[i].arguments, "x-dead-letter-exchange");
    for (size_t i = 0; i < topology->exchange_count; i++)
        look_for_other(plan, &topology->exchanges[i].arguments, "alternate-exchange");
}

enum warren_status broker_plan_init(struct broker_plan *plan, const struct config *config,
                                    bool others)
{
    const struct config_topology *topology = &config->topology;
    struct config_topology *round = &plan->round;
    size_t queue_max = topology->queue_count + config->subscription_count;
    size_t exchange_max = 2 * topology->exchange_count + topology->queue_count;

    *plan = (struct broker_plan){.config = config};
    plan->exchanges = calloc(exchange_max + 1, sizeof *plan->exchanges);
    plan->queues = calloc(queue_max + 1, sizeof *plan->queues);
    plan->exchanges_found = calloc(topology->exchange_count + 1, sizeof(*plan->exchanges_found));
    plan->queues_found = calloc(topology->queue_count + 1, sizeof(*plan->queues_found));
    if (!plan->exchanges || !plan->queues || !plan->exchanges_found || !plan->queues_found)
        return WARREN_ENOMEM;
    *round = (struct config_topology){.exchanges = plan->exchanges, .queues = plan->queues};
    for (size_t i = 0; i < topology->exchange_count; i++) {
        plan->exchanges[i] = topology->exchanges[i];
        plan->exchanges[round->exchange_count++].passive = true;
    }
    for (size_t i = 0; i < topology->queue_count; i++) {
        plan->queues[i] = topology->queues[i];
        plan->queues[round->queue_count++].passive = true;
    }
    for (size_t i = 0; i < config->subscription_count; i++) {
        const char *queue = config->subscriptions[i].queue;

        if (!config_find_queue(round, queue))
            plan->queues[round->queue_count++] =
                (struct config_queue){.name = queue, .type = "classic", .passive = true};
    }
    if (others)
        look_for_others(plan);
    return WARREN_OK;
}

void broker_plan_done(struct broker_plan *plan)
{
    free(plan->exchanges);
    free(plan->queues);
    free(plan->exchanges_found);
    free(plan->queues_found);
    *plan = (struct broker_plan){0};
}

/* ---- the trial ---- */

void broker_plan_trial(struct broker_plan *plan)
{
    const struct config_topology *topology = &plan->config->topology;
    struct config_topology *round = &plan->round;

    round->exchange_count = round->queue_count = 0;
    for (size_t i = 0; i < topology->exchange_count; i++) {
        struct config_exchange *exchange = &plan->exchanges[round->exchange_count];

        if (topology->exchanges[i].passive || plan->exchanges_found[i] == BROKER_REFUSED)
            continue;
        *exchange = topology->exchanges[i];
        if (plan->exchanges_found[i] == BROKER_MISSING)
            doomed_exchange(exchange, &plan->wrong_argument[0]);
        round->exchange_count++;
    }
    for (size_t i = 0; i < topology->queue_count; i++) {
        struct config_queue *queue = &plan->queues[round->queue_count];

        if (topology->queues[i].passive || plan->queues_found[i] == BROKER_REFUSED)
            continue;
        *queue = topology->queues[i];
        if (plan->queues_found[i] == BROKER_MISSING)
            doomed_queue(queue, &plan->wrong_argument[1]);
        round->queue_count++;
    }
}

size_t broker_plan_to_try(const struct broker_plan *plan)
{
    const struct config_topology *topology = &plan->config->topology;
    size_t count = 0;

    for (size_t i = 0; i < topology->exchange_count; i++)
        count += !topology->exchanges[i].passive && plan->exchanges_found[i] != BROKER_REFUSED;
    for (size_t i = 0; i < topology->queue_count; i++)
        count += !topology->queues[i].passive && plan->queues_found[i] != BROKER_REFUSED;
    return count;
}

/* ---- what they brought ---- */

/* The name in "queue 'payments' (passive)", as a word: names may hold quotes. */
static bool is_named(const char *item, const char *kind, const char *name)
{
    size_t kind_len = strlen(kind);
    size_t len = strlen(name);

    return strncmp(item, kind, kind_len) == 0 && strncmp(item + kind_len, name, len) == 0 &&
           strncmp(item + kind_len + len, "' (", 3) == 0;
}

enum broker_found *broker_plan_found(struct broker_plan *plan, const char *item)
{
    const struct config_topology *topology = &plan->config->topology;

    for (size_t i = 0; i < topology->exchange_count; i++)
        if (!topology->exchanges[i].passive &&
            is_named(item, "exchange '", topology->exchanges[i].name))
            return &plan->exchanges_found[i];
    for (size_t i = 0; i < topology->queue_count; i++)
        if (!topology->queues[i].passive && is_named(item, "queue '", topology->queues[i].name))
            return &plan->queues_found[i];
    return NULL;
}

bool broker_plan_is_present(const struct broker_plan *plan, const char *queue)
{
    const struct config_topology *topology = &plan->config->topology;
    const struct config_queue *declared = config_find_queue(topology, queue);

    return !declared || plan->queues_found[declared - topology->queues] == BROKER_PRESENT;
}
