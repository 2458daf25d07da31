/* connection_private.h - what connection.c (life, and what others ask), connection_reconnect.c
 * (states, connecting, losing, reconnecting), connection_input.c (what the peer sends), handshake.c
 * and the channels share.
 * Thread: the loop's.
 */
#ifndef WARREN_AMQP_CONNECTION_PRIVATE_H
#define WARREN_AMQP_CONNECTION_PRIVATE_H

#include "amqp/connection/connection.h"
#include "amqp/net/dialer.h"
#include "amqp/wire/frame.h"
#include "amqp/wire/rabbitmq_c.h"
#include "base/backoff.h"

/* ---- handshake.c: the methods of channel 0, from and to bytes: greeting, login, tuning, opening,
 * blocked, closing. Sans-IO: which is answered when is decided in connection_input.c. Thread: any.
 * Source: AMQP 0-9-1, sections 1.4 and 2.2.4; https://www.rabbitmq.com/docs/consumers#capabilities
 * ---- */

/** What a peer that does not speak AMQP 0-9-1 is, judged by its first bytes. */
const char *handshake_recognise(struct warren_bytes received);

/** Prove the table in @arguments of a connection.start that is not decoded yet. */
bool handshake_start_is_sound(struct warren_bytes arguments, const char **ret_why);
/** "RabbitMQ 3.10.8". */
void handshake_server(const amqp_connection_start_t *start, char *text, size_t size);
/** Does the server offer the SASL mechanism? */
bool handshake_offers(const amqp_connection_start_t *start, const char *mechanism);

/** "320 CONNECTION_FORCED - ...", as the broker said it. */
void handshake_close_text(const amqp_connection_close_t *close, char *text, size_t size);

/** What we log in with. @user NULL: SASL EXTERNAL. */
struct handshake_login {
    const char *connection_name;
    const char *user;
    const char *password;
};

/** What both sides can bear; 0 is "no limit" on the wire. */
struct handshake_limits {
    uint16_t channel_max;
    uint32_t frame_max;
    uint16_t heartbeat_s; /* 0: none */
};

/**
 * Bring what we want and what the server offers together.
 *
 * @return WARREN_OK, or WARREN_EPROTOCOL if its frames are smaller than AMQP allows
 */
enum warren_status handshake_agree(const struct handshake_limits *wanted,
                                   const amqp_connection_tune_t *offered,
                                   struct handshake_limits *agreed);

/* Each appends to @out: WARREN_OK, WARREN_ENOMEM, WARREN_ETOOBIG, WARREN_EFULL. */
enum warren_status handshake_put_header(struct buffer *out);
enum warren_status handshake_put_start_ok(struct buffer *out, const struct handshake_login *login);
enum warren_status handshake_put_open(struct buffer *out, const struct handshake_limits *agreed,
                                      const char *vhost); /* after tune-ok */
enum warren_status handshake_put_close(struct buffer *out);
enum warren_status handshake_put_close_ok(struct buffer *out);

/* ---- the connection ---- */

/** Bytes of a sentence about a loss, with the NUL. */
#define CONNECTION_TEXT_MAX 512

struct connection {
    struct loop *loop;
    struct connection_events events;
    void *user;
    struct channel_set *channels;

    char *name;
    struct uri *uris;
    size_t uri_current;
    struct connection_options numbers; /* its pointers are not used */
    struct tls_context *tls;
    char where[2 * URI_PART_MAX + 32];

    enum connection_state state;
    int64_t state_since_ms;
    int64_t connect_deadline_ms;
    struct random random;
    struct backoff backoff;
    struct loop_timer deadline; /* of the handshakes */
    struct loop_timer retry;
    uint32_t retry_ms; /* that it was armed for */
    struct loop_task fail_task;
    struct loop_task closed_task;

    struct dialer dialer;
    struct stream stream;
    struct handshake_limits agreed;
    char server[64]; /* "RabbitMQ 3.10.8"; "" before the first greeting */
    bool blocked;
    bool reading_paused;
    int64_t hears_since_ms; /* when neither of both was the case any more; 0: it never was */
    amqp_pool_t pool;       /* for decoding methods of channel 0 */

    bool failing; /* lost, and the owner does not know yet */
    uint16_t failing_code;
    uint32_t failing_method; /* that the broker blames */
    char failing_text[CONNECTION_TEXT_MAX];
};

static inline int64_t connection_now_ms(const struct connection *connection)
{
    return loop_now_ms(connection->loop);
}

/* ---- what channels ask ---- */

/** All channels of @connection. */
static inline struct channel_set *connection_channels(const struct connection *connection)
{
    return connection->channels;
}

static inline uint32_t connection_rpc_timeout_ms(const struct connection *connection)
{
    return connection->numbers.rpc_timeout_ms;
}

/**
 * Since when answers can come: now, while the broker reads nothing (connection.blocked) or we do
 * not (connection_pause_reading()); later, the end of that; 0 if there was nothing of the kind.
 */
static inline int64_t connection_hears_since_ms(const struct connection *connection)
{
    return connection->blocked || connection->reading_paused ? connection_now_ms(connection)
                                                             : connection->hears_since_ms;
}

/** When bytes came last. Valid while OPEN. */
static inline int64_t connection_heard_ms(const struct connection *connection)
{
    return connection->stream.received_ms;
}

/** The longest silence of a peer that is well, in ms; 0: no heartbeats were agreed. */
static inline uint32_t connection_silence_ms(const struct connection *connection)
{
    return connection->agreed.heartbeat_s * 1000u;
}

/* ---- connection.c ---- */

/** @needed channels are wanted, more than connection_channel_max(). */
void connection_lacks_channels(struct connection *connection, uint32_t needed);

/* ---- connection_reconnect.c ---- */

/** A set of states. */
#define CONNECTION_BIT(state) (1u << CONNECTION_##state)

extern const struct dialer_events connection_dialer_events;

const char *connection_state_name(enum connection_state state);
/** Change the state. */
void connection_enter(struct connection *connection, enum connection_state next);
/** open-ok came: `agreed` counts from now on. */
void connection_opened(struct connection *connection);
/** Connect to the current URI: at the start, and by the timer `retry`. @arg  the connection */
void connection_connect(void *arg);
/** By the timer `deadline`. */
void connection_deadline_passed(void *arg);
/** By the task `fail_task`: every loss goes through here, whatever the state. */
void connection_lose(void *arg);
/** The same as connection_fail() with what the broker said; @method is what it blames, or 0. */
void connection_fail_code(struct connection *connection, uint16_t code, uint32_t method,
                          const char *text);
/** Close it for good, without a handshake. */
void connection_abandon(struct connection *connection);

/* ---- connection_input.c ---- */

/** What was appended to `out` with @status is to be sent, or fails the connection. */
void connection_sent(struct connection *connection, enum warren_status status);

extern const struct stream_events connection_stream_events;

#endif
