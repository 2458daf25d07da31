#include "publish/delay/delay_topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct destination {
    struct list link;
    struct delay *delay; /* a copy */
    bool declared;       /* its departure queue, on this channel */
    bool unchecked;      /* this user may not ask whether it is there */
};

static bool same_destination(const struct delay *a, const struct delay *b)
{
    return a->to_queue == b->to_queue && strcmp(a->destination, b->destination) == 0;
}

/* ---- destinations ---- */

static struct list *bucket_of(struct delay_topology *topology, const struct delay *delay)
{
    uint32_t sum = delay->to_queue;

    for (const char *c = delay->destination; *c; c++)
        sum = sum * 31 + (unsigned char)*c;
    return &topology->destinations[sum % DELAY_BUCKETS];
}

static struct destination *find(struct delay_topology *topology, const struct delay *delay)
{
    struct list *bucket = bucket_of(topology, delay);

    LIST_EACH(link, bucket) {
        struct destination *destination = list_entry(link, struct destination, link);

        if (same_destination(destination->delay, delay))
            return destination;
    }
    return NULL;
}

static void forget_destinations(struct delay_topology *topology)
{
    struct list *link;

    for (size_t i = 0; i < DELAY_BUCKETS; i++) {
        while ((link = list_pop(&topology->destinations[i]))) {
            struct destination *destination = list_entry(link, struct destination, link);

            free(destination->delay);
            free(destination);
        }
    }
    topology->destination_count = 0;
}

/* Found, or made; NULL: no memory. */
static struct destination *get(struct delay_topology *topology, const struct delay *delay)
{
    struct destination *destination = find(topology, delay);

    if (destination)
        return destination;
    destination = calloc(1, sizeof *destination);
    if (destination)
        destination->delay = delay_copy(delay);
    if (!destination || !destination->delay) {
        free(destination);
        return NULL;
    }
    if (topology->destination_count >= DELAY_DESTINATIONS_MAX) {
        forget_destinations(topology);
        topology->forgotten++;
    }
    list_push(bucket_of(topology, delay), &destination->link);
    topology->destination_count++;
    return destination;
}

/* ---- what a delay needs ---- */

/* The check goes first: a destination that is not there leaves nothing behind. */
static enum warren_status declare_destination(struct delay_topology *topology,
                                              const struct delay_declare *declare,
                                              const struct delay *delay)
{
    struct destination *destination = get(topology, delay);
    enum warren_status status = destination ? WARREN_OK : WARREN_ENOMEM;

    if (destination && !destination->unchecked)
        status = delay_declare_check(declare, delay);
    if (status == WARREN_OK && !topology->deliver) {
        status = delay_declare_deliver(declare);
        topology->deliver = status == WARREN_OK;
    }
    if (status == WARREN_OK)
        status = delay_declare_departure(declare, delay);
    if (status == WARREN_OK)
        destination->declared = true;
    return status;
}

static enum warren_status declare_levels(struct delay_topology *topology,
                                         const struct delay_declare *declare,
                                         const struct delay *delay)
{
    enum warren_status status = WARREN_OK;

    while (topology->exchanges <= delay_top(delay)) {
        status = delay_declare_exchange(declare, topology->exchanges);
        if (status != WARREN_OK)
            return status;
        topology->exchanges++;
    }
    for (uint32_t left = delay->seconds & ~topology->queues; left != 0; left &= left - 1) {
        status = delay_declare_queue(declare, (unsigned)__builtin_ctz(left));
        if (status != WARREN_OK)
            return status;
    }
    topology->queues |= delay->seconds;
    return WARREN_OK;
}

enum warren_status delay_topology_declare(struct delay_topology *topology, struct channel *channel,
                                          const struct delay *delay, struct arena *scratch,
                                          bool *ret_new)
{
    struct delay_declare declare = {&topology->steps, channel, scratch};
    bool levels =
        (delay->seconds & ~topology->queues) != 0 || topology->exchanges <= delay_top(delay);
    const struct destination *destination = find(topology, delay);
    bool departure = !destination || !destination->declared;
    enum warren_status status = WARREN_OK;

    *ret_new = levels;
    if (!levels && !departure)
        return WARREN_OK;
    if (topology->steps.count >= DELAY_STEPS_MAX)
        return WARREN_ECLOSED;
    arena_reset(scratch);
    if (departure)
        status = declare_destination(topology, &declare, delay);
    if (status == WARREN_OK && levels)
        status = declare_levels(topology, &declare, delay);
    return status;
}

/* ---- refusals ---- */

bool delay_refusal_concerns(const struct delay_refusal *refusal, const struct delay *delay)
{
    if (refusal->destination)
        return same_destination(refusal->destination, delay);
    return (refusal->levels & delay->seconds) != 0;
}

const struct delay_refusal *delay_topology_refused(const struct delay_topology *topology,
                                                   const struct delay *delay, int64_t now_ms)
{
    for (uint32_t i = 0; i < topology->refusal_count && i < DELAY_REFUSALS_MAX; i++) {
        const struct delay_refusal *refusal = &topology->refusals[i];

        if (now_ms < refusal->until_ms && delay_refusal_concerns(refusal, delay))
            return refusal;
    }
    return NULL;
}

static struct delay_refusal *keep_refusal(struct delay_topology *topology, struct delay_step *step,
                                          const struct channel_loss *loss, int64_t now_ms)
{
    struct delay_refusal *refusal =
        &topology->refusals[topology->refusal_count++ % DELAY_REFUSALS_MAX];

    free(refusal->destination);
    refusal->levels = step->levels;
    refusal->destination = step->destination;
    step->destination = NULL;
    refusal->code = loss->code;
    snprintf(refusal->text, sizeof refusal->text, "%s", loss->text);
    refusal->until_ms = now_ms + DELAY_REFUSED_MS;
    return refusal;
}

/* ---- life ---- */

void delay_topology_forget(struct delay_topology *topology)
{
    topology->exchanges = 0;
    topology->queues = 0;
    topology->deliver = false;
    for (size_t i = 0; i < DELAY_BUCKETS; i++) {
        LIST_EACH(link, &topology->destinations[i])
            list_entry(link, struct destination, link)->declared = false;
    }
}

/* @return whether it is the check that is not to be made */
static bool do_without_check(struct delay_topology *topology, const struct delay_step *step,
                             const struct channel_loss *loss)
{
    struct destination *destination = NULL;

    if (step->check && loss->code == AMQP_ACCESS_REFUSED)
        destination = get(topology, step->destination);
    if (destination)
        destination->unchecked = true;
    return destination != NULL;
}

const struct delay_refusal *delay_topology_lost(struct delay_topology *topology,
                                                const struct channel_loss *loss, int64_t now_ms,
                                                bool *ret_known)
{
    struct delay_refusal *refusal = NULL;

    *ret_known = topology->steps.count > 0 && declare_is(loss->method) && !loss->unanswered;
    if (*ret_known) {
        struct delay_step *step = list_entry(topology->steps.waiting.next, struct delay_step, link);

        if (!do_without_check(topology, step, loss))
            refusal = keep_refusal(topology, step, loss, now_ms);
    }
    delay_steps_clear(&topology->steps);
    delay_topology_forget(topology);
    if (loss->code == 0) /* with another connection there may be other rights */
        forget_destinations(topology);
    return refusal;
}

void delay_topology_init(struct delay_topology *topology)
{
    *topology = (struct delay_topology){.exchanges = 0};
    delay_steps_init(&topology->steps);
    for (size_t i = 0; i < DELAY_BUCKETS; i++)
        list_init(&topology->destinations[i]);
}

void delay_topology_done(struct delay_topology *topology)
{
    if (!topology->steps.waiting.next)
        return;
    delay_steps_clear(&topology->steps);
    forget_destinations(topology);
    for (size_t i = 0; i < DELAY_REFUSALS_MAX; i++)
        free(topology->refusals[i].destination);
}
