/* tls_private.h - the TLS half of a transport: OpenSSL over our own socket BIO.
 * Thread: the connection's loop. Owner: transport.c alone calls these; tls.c has
 * transport_handshake(), too.
 * Elsewhere: what callers see of it (transport.h).
 */
#ifndef WARREN_AMQP_TLS_PRIVATE_H
#define WARREN_AMQP_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "amqp/net/transport.h"

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *socket; /* recv and send with MSG_NOSIGNAL */
};

/** A BIO on @fd, which stays the caller's; NULL: no memory. */
BIO *tls_socket_new(const struct tls_context *context, int fd);

/** As recv(2) and send(2), without SIGPIPE. @ret_later  nothing now */
ssize_t transport_recv(int fd, void *data, size_t size, bool *ret_later);
ssize_t transport_send(int fd, const void *data, size_t len, bool *ret_later);

/** As the transport_ functions of these names, for a transport with TLS. */
ssize_t tls_read(struct transport *transport, void *data, size_t size, struct warren_error *error);
ssize_t tls_write(struct transport *transport, const void *data, size_t len,
                  struct warren_error *error);
bool tls_pending(const struct transport *transport);
/** Say goodbye if that needs no waiting, and free the session. */
void tls_close(struct transport *transport);

#endif
