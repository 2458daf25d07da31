/* transport.h - bytes to and from a broker's socket, plain or by TLS. Never blocks.
 * Thread: the connection's loop. Owner: struct connection embeds one.
 * Elsewhere: when to read and write (connection.c).
 */
#ifndef WARREN_AMQP_TRANSPORT_H
#define WARREN_AMQP_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <warren/status.h>

/** Files for TLS, PEM. All may be NULL. Strings are borrowed. */
struct tls_options {
    const char *ca_file;   /* NULL: the system's store */
    const char *cert_file; /* client certificate chain */
    const char *key_file;
};

struct tls_context; /* OpenSSL's SSL_CTX: TLS 1.2 at least, peer always verified */

/** Load the files; a file that is missing or no PEM is an error that names it. */
enum warren_status tls_context_new(const struct tls_options *options, struct tls_context **ret,
                                   struct warren_error *error);
/** After the last transport that used it was closed. NULL is fine. */
void tls_context_free(struct tls_context *context);

/** The version of OpenSSL that runs. Static storage. Thread: any. */
const char *transport_tls_version(void);

struct transport {
    int fd;           /* -1: none */
    void *tls;        /* SSL *, NULL for plain TCP */
    bool wants_write; /* the last call can go on only when the socket is writable */
    bool wants_read;  /* ... readable */
};

/** Begin a TCP connect (nonblocking, TCP_NODELAY, close-on-exec). */
enum warren_status transport_connect(struct transport *transport, const struct sockaddr *address,
                                     socklen_t len, struct warren_error *error);
/** After the socket became writable: did the TCP connect succeed? */
enum warren_status transport_connected(struct transport *transport, struct warren_error *error);

/** For a connection without heartbeats: the kernel asks a silent peer whether it is still there,
 * and after two minutes without an answer reading fails. What was sent and is not acknowledged it
 * sends again for about 15 minutes (net.ipv4.tcp_retries2). */
void transport_keep_alive(struct transport *transport);

/**
 * One step of the TLS handshake with @host (a name for SNI and verification, or an address that
 * must stand in the certificate's IP SANs).
 *
 * @return WARREN_OK when done; WARREN_EFULL: again when wants_read or wants_write is met;
 *         WARREN_EIO with @error: such as certificate expired, host name mismatch, not TLS
 */
enum warren_status transport_handshake(struct transport *transport, struct tls_context *context,
                                       const char *host, struct warren_error *error);

/**
 * Read up to @size bytes.
 *
 * @return bytes read; 0: nothing now; -1: the peer closed or the connection failed, with @error
 */
ssize_t transport_read(struct transport *transport, void *data, size_t size,
                       struct warren_error *error);
/** Bytes are waiting inside TLS although the socket may not be readable. */
bool transport_pending(const struct transport *transport);
/**
 * Write up to @len bytes: bytes taken; 0: nothing now; -1 with @error. Never raises SIGPIPE.
 * After fewer than @len, the next call must begin with the first byte that was not taken, and
 * offer at least as many as were left (TLS may have encrypted them already).
 */
ssize_t transport_write(struct transport *transport, const void *data, size_t len,
                        struct warren_error *error);
/** Close the socket; harmless to repeat. */
void transport_close(struct transport *transport);

#endif
