/* handshake_private.h - the methods of channel 0, from and to bytes: greeting, login, tuning,
 * opening, blocked, closing. Sans-IO: which is answered when is decided in connection_input.c.
 * Source: AMQP 0-9-1, sections 1.4 and 2.2.4; https://www.rabbitmq.com/docs/consumers#capabilities
 * Thread: any.
 */
#ifndef WARREN_AMQP_HANDSHAKE_PRIVATE_H
#define WARREN_AMQP_HANDSHAKE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/rabbitmq_c.h"
#include "base/buffer.h"

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

#endif
