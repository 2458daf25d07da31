/* dialer.h - from a URI to a connected socket: look-up, TCP, TLS, each within one deadline.
 * All addresses of a host are tried in turn, the time that is left being shared among them.
 * Thread: the loop's. Owner: struct connection embeds one.
 * Elsewhere: AMQP on that socket (stream.h, connection.c).
 */
#ifndef WARREN_AMQP_DIALER_H
#define WARREN_AMQP_DIALER_H

#include "amqp/net/resolver.h"
#include "amqp/net/transport.h"
#include "amqp/net/uri.h"
#include "loop/loop.h"

enum dialer_step { DIALER_IDLE, DIALER_RESOLVING, DIALER_CONNECTING, DIALER_SECURING };

/** Events for the owner; after connected and failed the dialer is idle. */
struct dialer_events {
    void (*step)(void *user, enum dialer_step step);
    /** @transport is the callee's from now on. */
    void (*connected)(void *user, const struct transport *transport);
    /** Why, in one sentence. */
    void (*failed)(void *user, const char *text);
};

struct dialer {
    struct loop *loop;
    struct dialer_events events;
    void *user;
    enum dialer_step step;
    const struct uri *uri;
    struct tls_context *tls;
    int64_t deadline_ms;
    struct loop_timer deadline;
    struct resolver_lookup *lookup;
    struct addrinfo *addresses;
    struct addrinfo *address; /* the one being tried */
    struct transport transport;
    struct loop_fd watch;
};

enum warren_status dialer_init(struct dialer *dialer, struct loop *loop,
                               const struct dialer_events *events, void *user);
/**
 * Begin; @uri and @tls (NULL for amqp://) are borrowed until the end. An event may come before
 * this returns.
 */
void dialer_begin(struct dialer *dialer, const struct uri *uri, struct tls_context *tls,
                  uint32_t timeout_ms);
/** Stop without an event; harmless when idle. */
void dialer_cancel(struct dialer *dialer);
/** A zeroed dialer is fine. */
void dialer_done(struct dialer *dialer);

#endif
