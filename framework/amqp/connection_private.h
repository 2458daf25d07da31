/* connection_private.h - the inside of a connection, for the three files that make it:
 * connection.c (states and tries), connection_io.c (bytes and heartbeats), handshake.c (methods of
 * channel 0).
 */
#ifndef WARREN_AMQP_CONNECTION_PRIVATE_H
#define WARREN_AMQP_CONNECTION_PRIVATE_H

#include <stdatomic.h>

#include "amqp/channel.h"
#include "amqp/connection.h"
#include "amqp/frame.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/resolver.h"
#include "base/backoff.h"

/* Received bytes that are not yet a whole frame, and what one recv may add. */
#define CONNECTION_READ_SIZE ((size_t)128 * 1024)
/* Appended and not yet sent: the largest message of RabbitMQ 3.x twice. */
#define CONNECTION_OUT_MAX  ((size_t)256 * 1024 * 1024)
#define CONNECTION_TEXT_MAX 512

struct connection {
    struct loop *loop;
    struct connection_events events;
    void *user;

    char *name;
    struct uri *uris;
    size_t uri_count;
    size_t uri_current;
    bool sasl_external;
    struct connection_options numbers; /* its pointers are not used */
    struct tls_context *tls;
    char where[2 * URI_PART_MAX + 32];
    char server[64];

    enum connection_state state;
    int64_t state_since_ms;
    int64_t try_deadline_ms;
    struct random random;
    struct backoff backoff;
    struct loop_timer deadline; /* of the state */
    struct loop_timer retry;
    struct loop_task fail_task;
    struct loop_task closed_task;

    struct resolver_lookup *lookup;
    struct addrinfo *addresses;
    struct addrinfo *address; /* the one being tried */

    struct transport transport;
    struct loop_fd watch;
    struct buffer in;
    struct buffer out;
    unsigned corked;
    bool out_was_high;

    bool failing; /* the socket is lost, the rest of the system does not know yet */
    uint16_t failing_code;
    uint32_t failing_method; /* that the broker blames */
    char failing_text[CONNECTION_TEXT_MAX];

    struct loop_timer heartbeat;
    int64_t received_ms;
    int64_t sent_ms;
    bool paused;

    struct loop_timer rest;
    atomic_bool resting;
    int64_t turn_ns;        /* when the last turn was */
    double messages_per_us; /* moving average over the turns */
    uint32_t turn_messages;

    uint32_t frame_max;
    uint16_t channel_max;
    uint16_t heartbeat_s;
    bool blocked;
    struct channel_set *channels;
    amqp_pool_t pool; /* for decoding methods of channel 0 */
    struct connection_stats stats;
};

/* connection.c */
void connection_enter(struct connection *connection, enum connection_state next);
void connection_fail_code(struct connection *connection, uint16_t code, uint32_t method,
                          const char *text);
void connection_opened(struct connection *connection);

/* connection_io.c */
void connection_io_ready(void *arg, unsigned readiness);
void connection_io_rested(void *arg);
void connection_io_heartbeat(void *arg);
void connection_io_flush(struct connection *connection);
void connection_io_want(struct connection *connection);
void connection_io_drop(struct connection *connection);

/* handshake.c: how a connection is greeted, opened, blocked and closed (AMQP 0-9-1, 1.4). */
void handshake_begin(struct connection *connection);
void handshake_frame(struct connection *connection, const struct frame *frame);
void handshake_close(struct connection *connection);
/** What a peer that does not speak AMQP 0-9-1 is, judged by its first bytes; NULL: not known. */
const char *handshake_recognise(const uint8_t *data, size_t len);

#endif
