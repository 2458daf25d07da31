/* right_probe.h - may this user do a thing at the broker? Asked by methods that do nothing whatever
 * the answer is:
 *
 *   consume from a queue   basic.consume with arguments of wrong types: RabbitMQ looks at the
 *                          permission to read first, and refuses the arguments then
 *   publish to an exchange exchange.unbind of a binding that nobody has, to this exchange: that
 *                          needs the permission to write to it
 *   bind                   the unbind of such a binding needs the rights of the bind
 *   declare                a declare that is refused (doomed.h)
 *
 * A refusal costs a channel and a line of the broker's log. Rights by topic are not seen. Brokers
 * that are not RabbitMQ are not asked whether one may consume: they might begin to deliver.
 * Thread: the loop's. Owner: who asks embeds one. Elsewhere: what a worker needs
 * (command/broker/broker_rights.h).
 */
#ifndef WARREN_AMQP_RIGHT_PROBE_H
#define WARREN_AMQP_RIGHT_PROBE_H

#include "amqp/connection/channel.h"
#include "amqp/wire/rabbitmq_c.h"
#include "config/config.h"

enum right_kind {
    RIGHT_CONSUME,          /* from the queue `name`: read */
    RIGHT_PUBLISH,          /* to the exchange `name`: write */
    RIGHT_BIND_QUEUE,       /* `name` to the exchange `source`: write and read */
    RIGHT_BIND_EXCHANGE,    /* the same of an exchange `name` */
    RIGHT_DECLARE_QUEUE,    /* configure */
    RIGHT_DECLARE_EXCHANGE, /* configure */
};

struct right {
    enum right_kind kind;
    const char *name;   /* "": the default exchange */
    const char *source; /* NULL where none is named */
};

enum right_answer { RIGHT_UNKNOWN, RIGHT_GRANTED, RIGHT_REFUSED };

/** Told once, unless the connection is lost first: then when there is another one. @text  what the
 * broker said, "" if nothing. The probe may be started again from inside. */
typedef void right_probe_fn(void *user, enum right_answer answer, const char *text);

struct right_probe {
    struct connection *connection;
    struct channel *channel; /* NULL: nothing is asked */
    const struct right *right;
    right_probe_fn *answer;
    void *user;
};

/** Ask. @right is borrowed until the answer. WARREN_OK or WARREN_ENOMEM. */
enum warren_status right_probe_start(struct right_probe *probe, struct connection *connection,
                                     const struct right *right, right_probe_fn *answer, void *user);
/** Forget the question, if there is one; a zeroed probe is fine. */
void right_probe_done(struct right_probe *probe);

/** What a channel.close with this code and text says of @right. */
enum right_answer right_probe_read(const struct right *right, uint16_t code, const char *text);

#endif
