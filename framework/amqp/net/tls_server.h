/* tls_server.h - TLS for who listens, of the same files as a client's: a certificate, its key, and
 * perhaps the authorities that the certificates of clients must come from.
 * Thread: any. Elsewhere: the sockets (http/).
 */
#ifndef WARREN_AMQP_TLS_SERVER_H
#define WARREN_AMQP_TLS_SERVER_H

#include <openssl/ssl.h>

#include "amqp/net/transport.h"

/**
 * Load the files: cert_file and key_file must be given; with ca_file a client needs a certificate
 * that comes from there.
 *
 * @ret     SSL_CTX_free() ends it; TLS 1.2 at least
 * @return  WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error, which names the file
 */
enum warren_status tls_server_context_new(const struct tls_options *options, SSL_CTX **ret,
                                          struct warren_error *error);

#endif
