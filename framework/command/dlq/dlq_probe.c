#include "command/dlq/dlq_probe.h"

#include <stdio.h>
#include <string.h>

static void answer(struct dlq_probe *probe, struct dlq_probe_found found)
{
    dlq_probe_done(probe);
    probe->answer(probe->user, &found);
}

static void on_declared(void *user, void *decoded)
{
    const amqp_queue_declare_ok_t *declared = decoded;

    answer(user, (struct dlq_probe_found){.text = "",
                                          .ready = declared->message_count,
                                          .consumers = declared->consumer_count});
}

static void on_open(void *user)
{
    struct dlq_probe *probe = user;
    amqp_queue_declare_t declare = {
        .queue = {strlen(probe->queue), (void *)(uintptr_t)probe->queue}, .passive = true};

    channel_call(probe->channel, AMQP_QUEUE_DECLARE_METHOD, &declare, on_declared, probe);
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    char text[320];

    if (loss->code == 0 && !loss->unanswered)
        return;
    if (loss->code != 0)
        snprintf(text, sizeof text, "%u %s", loss->code, loss->text);
    else
        snprintf(text, sizeof text, "%s", loss->text);
    answer(user,
           (struct dlq_probe_found){.code = loss->code ? loss->code : DLQ_NO_ANSWER, .text = text});
}

enum warren_status dlq_probe_start(struct dlq_probe *probe, struct connection *connection,
                                   const char *queue, dlq_probe_fn *answer_fn, void *user)
{
    static const struct channel_events events = {.open = on_open, .lost = on_lost};

    *probe = (struct dlq_probe){.queue = queue, .answer = answer_fn, .user = user};
    return channel_new(connection, &events, probe, &probe->channel);
}

void dlq_probe_done(struct dlq_probe *probe)
{
    channel_free(probe->channel);
    probe->channel = NULL;
}
