/* dlq_probe.h - does a queue exist, and what is in it? A passive declare on a channel of its own.
 * Thread: the loop's. Owner: who asks embeds one.
 */
#ifndef WARREN_COMMAND_DLQ_PROBE_H
#define WARREN_COMMAND_DLQ_PROBE_H

#include "amqp/connection/channel.h"

/** Answers: what AMQP says where there is no such queue, or where one may not ask; the broker said
 *  nothing in time. */
#define DLQ_NO_SUCH_QUEUE 404
#define DLQ_NO_RIGHT      403
#define DLQ_NO_ANSWER     1

struct dlq_probe_found {
    uint16_t code;    /* 0: it exists; else the broker's reply code, or DLQ_NO_ANSWER, */
    const char *text; /* and why */
    uint32_t ready;   /* messages that nobody has taken */
    uint32_t consumers;
};

/** Told once, unless the connection is lost first. */
typedef void dlq_probe_fn(void *user, const struct dlq_probe_found *found);

struct dlq_probe {
    struct channel *channel; /* NULL: nothing is asked */
    const char *queue;
    dlq_probe_fn *answer;
    void *user;
};

/** Ask, on an open @connection. @queue is borrowed until the answer. */
enum warren_status dlq_probe_start(struct dlq_probe *probe, struct connection *connection,
                                   const char *queue, dlq_probe_fn *answer, void *user);
/** Forget the question, if there is one; a zeroed probe is fine. */
void dlq_probe_done(struct dlq_probe *probe);

#endif
