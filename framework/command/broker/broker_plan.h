/* broker_plan.h - which declares a look at a broker consists of, and what they brought.
 *
 *   look    all that a configuration names is looked for, passively
 *   trial   may the worker declare it, and as it is configured? What exists is declared as
 *           configured, which changes nothing, for the broker compares. What is missing is declared
 *           so that the broker refuses it (amqp/topology/doomed.h)
 *
 * Thread: any. Owner: broker_check.c.
 */
#ifndef WARREN_COMMAND_BROKER_PLAN_H
#define WARREN_COMMAND_BROKER_PLAN_H

#include <warren/status.h>

#include "config/config.h"

/** What a look at an item that the worker will declare brought. */
enum broker_found { BROKER_PRESENT, BROKER_MISSING, BROKER_REFUSED };

struct broker_plan {
    const struct config *config;
    struct config_exchange *exchanges; /* of the round at hand */
    struct config_queue *queues;
    struct config_topology round;
    enum broker_found *exchanges_found; /* as many as the configuration has */
    enum broker_found *queues_found;
    struct warren_field wrong_argument[2]; /* of an exchange, of a queue */
};

/**
 * `round` is the look. @others: exchanges, too, that arguments name and the topology does not have.
 *
 * @return WARREN_OK or WARREN_ENOMEM; broker_plan_done() in any case
 */
enum warren_status broker_plan_init(struct broker_plan *plan, const struct config *config,
                                    bool others);
/** A zeroed one is fine. */
void broker_plan_done(struct broker_plan *plan);

/** From now on `round` is the trial, of what was not refused before. */
void broker_plan_trial(struct broker_plan *plan);
/** How many items that will have. */
size_t broker_plan_to_try(const struct broker_plan *plan);

/** Where it is noted what was found of @item, as declare_text() has it; NULL if the worker will not
 * declare it. */
enum broker_found *broker_plan_found(struct broker_plan *plan, const char *item);
/** Was @queue, if the topology has it, there? */
bool broker_plan_is_present(const struct broker_plan *plan, const char *queue);

#endif
