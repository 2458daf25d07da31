/* connection.h - one AMQP connection that comes back for ever.
 *
 *   IDLE > RESOLVING > CONNECTING > SECURING > GREETING > TUNING > OPENING > OPEN
 *     ^                       (a deadline in every state)                    |
 *     +--- WAITING < ------------------------ lost -------------------------+
 *                                             CLOSING > CLOSED
 *
 * Bytes in: recv > frames > channels. Bytes out: one buffer, one send a turn.
 * Thread: the loop's, all of it. Owner: the publisher, the consumer runtime, a command.
 * Elsewhere: what happens on a channel (channel.h); addresses (uri.h).
 */
#ifndef WARREN_AMQP_CONNECTION_H
#define WARREN_AMQP_CONNECTION_H

#include "amqp/net/stream.h"
#include "amqp/net/transport.h"
#include "amqp/net/uri.h"
#include "base/buffer.h"
#include "loop/loop.h"

/** Everything is copied by connection_new(). */
struct connection_options {
    const char *name;       /* for the broker's list and the log */
    const struct uri *uris; /* tried in rotation; a password file was read by the caller */
    size_t uri_count;
    struct tls_options tls;
    bool sasl_external;          /* EXTERNAL in place of PLAIN; needs amqps and a certificate */
    uint32_t heartbeat_s;        /* what we propose; 0: none */
    uint32_t connect_timeout_ms; /* for all states before OPEN together */
    uint32_t rpc_timeout_ms;     /* for each reply on a channel */
    uint32_t reconnect_delay_min_ms;
    uint32_t reconnect_delay_max_ms;
    uint32_t refused_delay_ms; /* at least this long after wrong credentials or vhost */
    uint32_t stable_ms;        /* OPEN for this long resets the backoff */
    uint32_t frame_max;        /* what we propose, 8192 to 131072 */
    uint32_t read_coalesce_us; /* under load, longest rest between two reads; 0: none */
    uint32_t read_window;      /* messages that the peer may send before it must wait for us: a
                                  rest never lasts until a quarter of them came; 0: no rests */
};

/** The defaults of every number above. */
void connection_options_init(struct connection_options *options);

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_RESOLVING,
    CONNECTION_CONNECTING,
    CONNECTION_SECURING, /* TLS handshake */
    CONNECTION_GREETING, /* protocol header sent, waiting for connection.start */
    CONNECTION_TUNING,   /* start-ok sent, waiting for connection.tune */
    CONNECTION_OPENING,  /* open sent, waiting for open-ok */
    CONNECTION_OPEN,
    CONNECTION_CLOSING, /* close sent, waiting for close-ok */
    CONNECTION_WAITING, /* before it connects again */
    CONNECTION_CLOSED
};

/** Why a connection was lost or could not be made. */
struct connection_loss {
    const char *where; /* "amqp://host:port/vhost" */
    bool was_open;
    bool refused;      /* credentials or vhost: trying again soon does not help */
    uint16_t code;     /* AMQP reply code, 0 if none */
    const char *text;  /* one sentence, no secret */
    uint32_t retry_ms; /* until it connects again */
};

/** Events for the owner, on the loop. Any may be NULL. */
struct connection_events {
    /** OPEN. Registered channels are opening by themselves. */
    void (*open)(void *user);
    /** Lost, or not made; it connects again unless the owner closes. Channels know already. */
    void (*lost)(void *user, const struct connection_loss *loss);
    /** connection.blocked and unblocked; also unblocked when a blocked connection is lost. */
    void (*blocked)(void *user, bool blocked, const char *reason);
    /** All bytes of one read went to their channels: time to pass batches on. */
    void (*turn)(void *user);
    /** The output buffer, once above CONNECTION_OUT_HIGH, fell to a quarter of it. */
    void (*writable)(void *user);
    /** CLOSED, after connection_close(). */
    void (*closed)(void *user);
    /**
     * @needed channels are wanted, and the broker allows fewer on a connection (channel_max): those
     * that were asked for last wait. Comes before `open`, and when there are more. NULL: the
     * connection is dropped with these numbers.
     */
    void (*few_channels)(void *user, uint32_t needed, uint32_t allowed);
};

/** What an operator reads of `few_channels`: both numbers, and what to do. */
#define CONNECTION_FEW_CHANNELS                                                                    \
    "%u channels are needed on one connection, and the broker allows %u: raise channel_max in "    \
    "its "                                                                                         \
    "configuration to at least %u, or spread the subscriptions over several workers"

/** Producers should stop appending above HIGH, and go on at `writable`. */
#define CONNECTION_OUT_HIGH STREAM_OUT_HIGH

struct connection;

enum warren_status connection_new(struct loop *loop, const struct connection_options *options,
                                  const struct connection_events *events, void *user,
                                  struct connection **ret_connection, struct warren_error *error);
/** Begin to connect. */
void connection_start(struct connection *connection);
/**
 * Close handshake, bounded by @timeout_ms, then `closed` is called (never from inside this call).
 * Bytes appended before are sent first.
 */
void connection_close(struct connection *connection, uint32_t timeout_ms);
/** Drop the socket at once if there is one. Channels must be freed first. NULL is fine. */
void connection_free(struct connection *connection);

enum connection_state connection_state(const struct connection *connection);
/** As negotiated; valid while OPEN. */
uint32_t connection_frame_max(const struct connection *connection);
/** "amqp://host:port/vhost" where it connects, or connected last. */
const char *connection_where(const struct connection *connection);
/** "RabbitMQ 3.10.8"; "" before the first greeting. */
const char *connection_server(const struct connection *connection);
/** It is RabbitMQ, of this version or a later one. */
bool connection_server_at_least(const struct connection *connection, int major, int minor);

/** The socket, for what it knows of its peer (amqp/net/certificate.h); valid while OPEN. */
const struct transport *connection_transport(const struct connection *connection);

/** Where frames are appended while OPEN; call connection_wrote() afterwards. */
struct buffer *connection_out(struct connection *connection);
/** Have what was appended sent: now, or when the connection is uncorked. */
void connection_wrote(struct connection *connection);
/** Hold back sending, so that many small frames leave in one send; nests. */
void connection_cork(struct connection *connection);
void connection_uncork(struct connection *connection);
/**
 * True while the connection, under load, rests between two reads: `turn` follows within
 * read_coalesce_us. Thread: any.
 */
bool connection_resting(const struct connection *connection);

/**
 * The peer broke the protocol, or an RPC ran into its deadline: drop and reconnect. Only marks the
 * connection; `lost` follows on a later turn, so that this may be called from any event.
 */
void connection_fail(struct connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * While WAITING, so in the events `lost` of the connection and its channels: what the broker closed
 * it for does not come again, so it connects again at once, and the delays begin anew.
 */
void connection_retry_now(struct connection *connection);

/** Stop and resume reading the socket: the strict bound on memory. Heartbeats are still sent. */
void connection_pause_reading(struct connection *connection, bool pause);

/** The version of rabbitmq-c that runs. Static storage. Thread: any. */
const char *connection_codec_version(void);

struct loop *connection_loop(struct connection *connection);
/** As negotiated; valid while OPEN. */
uint16_t connection_channel_max(const struct connection *connection);

#endif
