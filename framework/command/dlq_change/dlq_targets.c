#include "command/dlq_change/dlq_targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_answer(void *user, const struct dlq_probe_found *found)
{
    struct dlq_target *target = user;

    /* RabbitMQ 4.3 answers only those who have a right on the queue. That is no reason: what has no
     * queue is returned. */
    static const struct dlq_probe_found unknown = {.text = ""};

    if (found->code == DLQ_NO_RIGHT)
        found = &unknown;
    target->state = found->code == 0 ? DLQ_TARGET_THERE : DLQ_TARGET_MISSING;
    target->all->known(target->all->user, target, found);
}

struct dlq_target *dlq_targets_get(struct dlq_targets *targets, const char *name)
{
    struct dlq_target *target;

    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->items[i]->name, name) == 0)
            return targets->items[i];
    target = targets->count < DLQ_TARGETS_MAX ? calloc(1, sizeof *target) : NULL;
    if (!target)
        return NULL;
    snprintf(target->name, sizeof target->name, "%s", name);
    target->all = targets;
    if (dlq_probe_start(&target->probe, targets->connection, target->name, on_answer, target) !=
        WARREN_OK) {
        free(target);
        return NULL;
    }
    targets->items[targets->count++] = target;
    return target;
}

void dlq_targets_done(struct dlq_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        dlq_probe_done(&targets->items[i]->probe);
        free(targets->items[i]);
    }
    targets->count = 0;
}
