/* certificate.h - until when certificates hold: those of a file, and those that a peer showed.
 * Thread: any. Elsewhere: whether they are believed (transport_handshake()).
 */
#ifndef WARREN_AMQP_CERTIFICATE_H
#define WARREN_AMQP_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

#include "amqp/net/transport.h"

#define CERTIFICATE_NAME_SIZE 128

struct certificate {
    int64_t from_s; /* since 1970 */
    int64_t until_s;
    char name[CERTIFICATE_NAME_SIZE]; /* the common name, or the first DNS name; printable ASCII */
    bool authority;                   /* it signs others */
};

/**
 * The certificate of @file (PEM) that ends first; or, with @last, the one that ends last: of
 * authorities to trust, one is enough.
 *
 * @ret_count  how many there are
 * @return     WARREN_OK; WARREN_EIO: it cannot be read; WARREN_ENOTFOUND: none is in it. With
 * @error
 */
enum warren_status certificate_of_file(const char *file, bool last, struct certificate *ret,
                                       size_t *ret_count, struct warren_error *error);

/** Of those by which the peer was believed, its authorities' too, the one that ends first. @return
 * false: the transport is no TLS, or has not been secured */
bool certificate_of_peer(const struct transport *transport, struct certificate *ret);

/** "TLSv1.3", as agreed with the peer; "" without TLS. Static storage. */
const char *certificate_protocol(const struct transport *transport);

#endif
