/* mock.h - an AMQP peer that does what a test's script says, also what no broker would do.
 * The script is a function that runs on the mock's own thread, once for each connection that is
 * accepted, one after the other. The calls below that take a `struct mock_peer` are for it alone;
 * when one of them cannot do its work (the client closed, sent something else, or was too slow)
 * the reason is kept and the script is left at once; mock_error() then tells.
 * Elsewhere: bad networks before a good broker (proxy.h).
 */
#ifndef TESTS_SUPPORT_MOCK_H
#define TESTS_SUPPORT_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/wire/rabbitmq_c.h"

struct mock;
struct mock_peer;

/** @connection  number of this connection, from 1 */
typedef void mock_script(struct mock_peer *peer, int connection, void *user);

/** Listen on a free port and answer with @script; never NULL. */
struct mock *mock_new(mock_script *script, void *user);
/** Ends the connection at hand and the thread. NULL is fine. */
void mock_free(struct mock *mock);

uint16_t mock_port(const struct mock *mock);
/** amqp://guest:guest@127.0.0.1:PORT/; lives as long as the mock. */
const char *mock_uri(const struct mock *mock);
int mock_accepted(struct mock *mock);
/** Scripts that ran to their end. */
int mock_finished(struct mock *mock);
/** Why the last script was left early, or "". Valid until the next call. Ask the test's thread. */
const char *mock_error(struct mock *mock);

/* ---- for the script ---- */

/** What the handshake offers. */
struct mock_tune {
    uint16_t channel_max;
    uint32_t frame_max;
    uint16_t heartbeat_s;
};

/** A frame that the client sent. */
struct mock_frame {
    uint8_t type;
    uint16_t channel;
    amqp_method_number_t method; /* method frames */
    void *decoded;               /* such as amqp_basic_publish_t; until the next expect */
    uint64_t body_size;          /* after basic.publish: the whole content was read, too */
    const char *body;
    char message_id[256]; /* after basic.publish; "" if there is none */
};

/** Protocol header to connection.open-ok, as RabbitMQ does it. @tune may be NULL. */
void mock_handshake(struct mock_peer *peer, const struct mock_tune *tune);

/**
 * Wait for the next @method and return it. What else comes is answered as a broker would if it is
 * channel.open, exchange.declare, queue.declare, queue.bind, basic.qos, confirm.select,
 * basic.consume (tag "mock"), or skipped if it is a heartbeat or an ack; anything else ends the
 * script, also a channel.close-ok that answers no channel.close. The method itself is not answered.
 */
const struct mock_frame *mock_expect(struct mock_peer *peer, amqp_method_number_t method);
/** Answer as above until the client closed or @ms are over; never ends the script. */
void mock_serve(struct mock_peer *peer, int64_t ms);

void mock_send_method(struct mock_peer *peer, uint16_t channel, amqp_method_number_t method,
                      void *decoded);
void mock_send_frame(struct mock_peer *peer, uint8_t type, uint16_t channel, const void *payload,
                     size_t length);
void mock_send_bytes(struct mock_peer *peer, const void *bytes, size_t length);
/** basic.deliver, header, and as many body frames as it takes. */
void mock_deliver(struct mock_peer *peer, uint16_t channel, uint64_t tag, const void *body,
                  size_t length);
/** Return the message of the basic.publish at hand: basic.return, header with its id, its body. */
void mock_return(struct mock_peer *peer, uint16_t code, const char *why);
void mock_close_channel(struct mock_peer *peer, uint16_t channel, uint16_t code, const char *why);
void mock_rest(struct mock_peer *peer, int64_t ms);
/** Leave the script with a reason that mock_error() will give. */
void mock_fail(struct mock_peer *peer, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

#endif
