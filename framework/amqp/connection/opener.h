/* opener.h - from a connected stream to an open AMQP connection: greeting, login, tuning, opening.
 * Thread: the loop's. Owner: struct connection embeds one, and sets the deadline.
 * Elsewhere: the socket (dialer.h), the bytes of the methods (handshake.h).
 */
#ifndef WARREN_AMQP_OPENER_H
#define WARREN_AMQP_OPENER_H

#include "amqp/connection/handshake.h"
#include "amqp/net/stream.h"
#include "amqp/net/uri.h"

enum opener_stage {
    OPENER_GREETING, /* protocol header sent, waiting for connection.start */
    OPENER_TUNING,   /* start-ok sent, waiting for connection.tune */
    OPENER_OPENING   /* open sent, waiting for open-ok */
};

/** What the owner is told, also before opener_begin() returns. */
struct opener_events {
    void (*stage)(void *user, enum opener_stage stage);
    void (*opened)(void *user, const struct handshake_limits *agreed);
    /** @code is AMQP's, or 0; @text is one sentence without secrets. */
    void (*failed)(void *user, uint16_t code, const char *text);
};

/** Pointers are borrowed until the end. */
struct opener_options {
    const char *name; /* of the connection */
    const struct uri *uri;
    bool sasl_external;
    struct handshake_limits wanted;
};

struct opener {
    struct stream *stream;
    struct opener_events events;
    void *user;
    struct opener_options options;
    struct handshake_limits agreed;
    enum opener_stage stage;
    amqp_pool_t pool;
    char server[64]; /* "RabbitMQ 3.10.8"; "" before the first greeting */
};

void opener_init(struct opener *opener, struct stream *stream, const struct opener_events *events,
                 void *user);
void opener_done(struct opener *opener);
/** Greet. @options is copied. */
void opener_begin(struct opener *opener, const struct opener_options *options);
/** A frame that came before `opened`. */
void opener_frame(struct opener *opener, const struct frame *frame);

#endif
