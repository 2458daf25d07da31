/* limit_look.c - see limit_look.h. */
#include "consume/runtime/runtime_private.h"

#include <string.h>

/* Of the topology, of depth_look.h, and one that is being closed. */
#define CHANNELS_BESIDE 3

static bool concerns(const struct runtime *r, const struct subscription *s)
{
    return !s->limit_asked && !s->draining && !s->is_stream &&
           !topology_declares(r->topology, s->source.queue);
}

/* One queue may have several subscriptions. */
static void note_asked(struct runtime *r, const char *queue)
{
    for (size_t i = 0; i < r->subscription_count; i++)
        if (strcmp(r->subscriptions[i]->source.queue, queue) == 0)
            r->subscriptions[i]->limit_asked = true;
}

static void on_answer(void *user, int64_t limit)
{
    struct runtime *r = user;
    const char *queue = r->limits.queue;

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
    for (size_t i = 0; i < r->subscription_count; i++) {
        if (!concerns(r, r->subscriptions[i]))
            continue;
        look->queue = r->subscriptions[i]->source.queue;
        note_asked(r, look->queue);
        limit_probe_start(&look->probe, r->connection, look->queue, on_answer, r);
        return;
    }
}
