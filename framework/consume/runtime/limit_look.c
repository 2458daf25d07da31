/* limit_look.c - see limit_look.h. */
#include "consume/runtime/runtime_private.h"

#include <string.h>

/* Of the topology, of depth_look.h, and one that is being closed. */
#define CHANNELS_BESIDE 3

static const char *queue_at(const struct runtime *r, size_t index)
{
    return r->subscriptions[index]->source.queue;
}

static bool was_asked_about(const struct runtime *r, const char *queue)
{
    for (size_t i = 0; i < r->limits.next; i++)
        if (strcmp(queue_at(r, i), queue) == 0)
            return true;
    return false;
}

static bool concerns(const struct runtime *r, size_t index)
{
    const char *queue = queue_at(r, index);

    return !r->subscriptions[index]->is_stream && !topology_declares(r->topology, queue) &&
           !was_asked_about(r, queue);
}

static void on_answer(void *user, int64_t limit)
{
    struct runtime *r = user;
    const char *queue = queue_at(r, r->limits.next++);

    if (limit >= 0)
        r->events.limited(r->user, queue, limit);
    limit_look_go_on(r);
}

/* The refusals that it lives on are RabbitMQ's; and the subscriptions need their channels. */
static bool may_ask(const struct runtime *r)
{
    return r->events.limited && connection_server_at_least(r->connection, 3, 8) &&
           connection_channel_max(r->connection) > r->subscription_count + CHANNELS_BESIDE;
}

void limit_look_go_on(struct runtime *r)
{
    struct limit_look *look = &r->limits;

    if (look->probe.channel || !may_ask(r))
        return;
    while (look->next < r->subscription_count && !concerns(r, look->next))
        look->next++;
    if (look->next < r->subscription_count)
        limit_probe_start(&look->probe, r->connection, queue_at(r, look->next), on_answer, r);
}
