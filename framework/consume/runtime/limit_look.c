#include "consume/runtime/limit_look.h"

#include <stdlib.h>
#include <string.h>

/* Of the topology, and one that is being closed. */
#define CHANNELS_BESIDE 2

void limit_look_init(struct limit_look *look, struct connection *connection,
                     const struct topology *topology, struct limit_look_queue *queues, size_t count,
                     void (*limited)(void *user, const char *queue, int64_t limit), void *user)
{
    *look = (struct limit_look){.connection = connection,
                                .topology = topology,
                                .queues = queues,
                                .count = count,
                                .limited = limited,
                                .user = user};
}

static bool was_asked_about(const struct limit_look *look, const char *queue)
{
    for (size_t i = 0; i < look->next; i++)
        if (strcmp(look->queues[i].name, queue) == 0)
            return true;
    return false;
}

static bool concerns(const struct limit_look *look, const struct limit_look_queue *queue)
{
    return !queue->is_stream && !topology_declares(look->topology, queue->name) &&
           !was_asked_about(look, queue->name);
}

static void on_answer(void *user, int64_t limit)
{
    struct limit_look *look = user;
    const char *queue = look->queues[look->next++].name;

    if (limit >= 0)
        look->limited(look->user, queue, limit);
    limit_look_go_on(look);
}

/* The refusals that it lives on are RabbitMQ's; and the subscriptions need their channels. */
static bool may_ask(const struct limit_look *look)
{
    return look->limited && connection_server_at_least(look->connection, 3, 8) &&
           connection_channel_max(look->connection) > look->count + CHANNELS_BESIDE;
}

void limit_look_go_on(struct limit_look *look)
{
    if (look->probe.channel || !may_ask(look))
        return;
    while (look->next < look->count && !concerns(look, &look->queues[look->next]))
        look->next++;
    if (look->next < look->count)
        limit_probe_start(&look->probe, look->connection, look->queues[look->next].name, on_answer,
                          look);
}

void limit_look_done(struct limit_look *look)
{
    limit_probe_done(&look->probe);
    free(look->queues);
    look->queues = NULL;
}
