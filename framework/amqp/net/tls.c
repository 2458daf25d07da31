/* tls.c - a TLS session over a nonblocking socket, and its failures in words. */
#include "amqp/net/tls_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/error.h"

/* The most bytes of a record (RFC 8446, section 5.1). */
#define RECORD_SIZE 16384
/* Records that may stand before the alert of a peer that closed. */
#define LAST_RECORDS_MAX 16

/* ---- why a certificate is refused ---- */

#define NAMES_TEXT_MAX 256

/* Lives on the stack of transport_handshake(); the verify callback writes into it. */
struct verification {
    const char *host;
    char why[WARREN_ERROR_TEXT_MAX - 64];
};

static void append_name(char *names, const char *kind, const unsigned char *text, size_t len)
{
    size_t used = strlen(names);
    size_t room = NAMES_TEXT_MAX - used;
    int prefix;

    prefix = snprintf(names + used, room, "%s%s:", used ? ", " : "", kind);
    if (prefix < 0 || (size_t)prefix + len + 1 > room) {
        names[used] = '\0'; /* the list is cut at a whole name */
        return;
    }
    used += (size_t)prefix;
    for (size_t i = 0; i < len; i++) /* the peer chose these bytes */
        names[used++] = text[i] > ' ' && text[i] < 0x7F ? (char)text[i] : '?';
    names[used] = '\0';
}

static void list_names(X509 *certificate, char names[NAMES_TEXT_MAX])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        char address[INET6_ADDRSTRLEN];
        const ASN1_STRING *text;
        int family;

        if (name->type == GEN_DNS) {
            text = name->d.dNSName;
            append_name(names, "DNS", ASN1_STRING_get0_data(text),
                        (size_t)ASN1_STRING_length(text));
        } else if (name->type == GEN_IPADD) {
            text = name->d.iPAddress;
            family = ASN1_STRING_length(text) == 4 ? AF_INET : AF_INET6;
            if (family == AF_INET6 && ASN1_STRING_length(text) != 16)
                continue;
            inet_ntop(family, ASN1_STRING_get0_data(text), address, sizeof address);
            append_name(names, "IP", (const unsigned char *)address, strlen(address));
        }
    }
    GENERAL_NAMES_free(all);
}

static void describe_mismatch(struct verification *check, X509 *certificate)
{
    char names[NAMES_TEXT_MAX];

    list_names(certificate, names);
    snprintf(check->why, sizeof check->why,
             "host name mismatch: the peer's certificate is not for \"%s\" but for %s", check->host,
             names[0] ? names : "no name at all (no subjectAltName)");
}

static void describe_time(struct verification *check, X509 *certificate, int depth, bool expired)
{
    const ASN1_TIME *when =
        expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate);
    char text[32] = "";
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) == 1)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    snprintf(check->why, sizeof check->why, "certificate %s: the %s certificate is valid %s %s",
             expired ? "expired" : "not yet valid", depth ? "CA's" : "peer's",
             expired ? "until" : "from", text);
}

static int on_verified(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct verification *check = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int depth = X509_STORE_CTX_get_error_depth(store);
    int reason = X509_STORE_CTX_get_error(store);

    if (ok || !check)
        return ok;
    switch (reason) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        describe_time(check, certificate, depth, reason == X509_V_ERR_CERT_HAS_EXPIRED);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        describe_mismatch(check, certificate);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(check->why, sizeof check->why,
                 "the peer's certificate comes from an unknown authority (%s); "
                 "name its CA file",
                 X509_verify_cert_error_string(reason));
        break;
    default:
        snprintf(check->why, sizeof check->why, "the peer's certificate is refused: %s",
                 X509_verify_cert_error_string(reason));
        break;
    }
    return 0;
}

/* ---- why anything else fails ---- */

static const char *explain(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return "the peer does not speak TLS: is this a plain-text port?";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the peer does not offer TLS 1.2 or later";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the peer asks for a client certificate";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the peer refused the handshake: no common cipher, or no client certificate that "
               "it accepts";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the peer refused our client certificate: it is expired";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "the peer refused our client certificate";
    default:
        return NULL;
    }
}

/* What SSL_get_error() found fatal, in words; @when is put behind what a socket fails with. */
static enum warren_status fail(int kind, int system_error, const char *when,
                               struct warren_error *error)
{
    unsigned long code = ERR_peek_error();
    const char *why;

    if (kind == SSL_ERROR_ZERO_RETURN ||
        (kind == SSL_ERROR_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) ||
        (kind == SSL_ERROR_SYSCALL && code == 0 && system_error == 0)) {
        error_set(error, WARREN_EIO, "the peer closed the connection%s", when);
    } else if (kind == SSL_ERROR_SYSCALL && code == 0) {
        error_set(error, WARREN_EIO, "%s%s", strerrordesc_np(system_error), when);
    } else {
        why = explain(ERR_GET_REASON(code));
        if (!why)
            why = ERR_reason_error_string(code);
        error_set(error, WARREN_EIO, "TLS: %s", why ? why : "unknown reason");
    }
    ERR_clear_error();
    return WARREN_EIO;
}

/* After a call that returned @result: WARREN_EFULL to wait, or the failure. */
static enum warren_status settle(struct transport *transport, int result, const char *when,
                                 struct warren_error *error)
{
    int system_error = errno;
    int kind = SSL_get_error(transport->tls, result);

    transport->wants_read = kind == SSL_ERROR_WANT_READ;
    transport->wants_write = kind == SSL_ERROR_WANT_WRITE;
    if (transport->wants_read || transport->wants_write)
        return WARREN_EFULL;
    return fail(kind, system_error, when, error);
}

/* OpenSSL reports failures by a queue and by errno, which must be empty before each call. */
static void prepare(struct transport *transport)
{
    ERR_clear_error();
    errno = 0;
    transport->wants_read = transport->wants_write = false;
}

/* ---- the session ---- */

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), address, 4) == 1;
    if (inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), address, 16) == 1;
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static enum warren_status session_new(struct transport *transport,
                                      const struct tls_context *context, const char *host,
                                      struct warren_error *error)
{
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = ssl ? tls_socket_new(context, transport->fd) : NULL;

    if (!bio || !expect_host(ssl, host)) {
        BIO_free(bio);
        SSL_free(ssl);
        ERR_clear_error();
        return error_set(error, WARREN_ENOMEM, "no memory for TLS, or \"%s\" is no host name",
                         host);
    }
    SSL_set_bio(ssl, bio, bio); /* owned by @ssl now */
    SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verified);
    SSL_set_connect_state(ssl);
    transport->tls = ssl;
    return WARREN_OK;
}

enum warren_status transport_handshake(struct transport *transport, struct tls_context *context,
                                       const char *host, struct warren_error *error)
{
    struct verification check = {.host = host};
    enum warren_status status = WARREN_OK;
    int result;

    if (!transport->tls)
        status = session_new(transport, context, host, error);
    if (status != WARREN_OK)
        return status;
    SSL_set_app_data(transport->tls, &check);
    prepare(transport);
    result = SSL_do_handshake(transport->tls);
    SSL_set_app_data(transport->tls, NULL);
    if (result == 1)
        return WARREN_OK;
    status = settle(transport, result, " during the TLS handshake", error);
    if (status == WARREN_EIO && check.why[0])
        return error_set(error, WARREN_EIO, "TLS: %s", check.why);
    return status;
}

ssize_t tls_read(struct transport *transport, void *data, size_t size, struct warren_error *error)
{
    size_t total = 0;

    /* a record holds at most 16 KiB: go on while OpenSSL has more of them */
    do {
        size_t got = 0;

        prepare(transport);
        if (SSL_read_ex(transport->tls, (char *)data + total, size - total, &got) == 1) {
            total += got;
            continue;
        }
        if (total)
            break; /* if it was a failure, the next call meets it again */
        return settle(transport, 0, "", error) == WARREN_EFULL ? 0 : -1;
    } while (total < size && SSL_has_pending(transport->tls));
    ERR_clear_error();
    return (ssize_t)total;
}

/*
 * A write failed with what the socket says, such as a reset. The peer may have said more before
 * it closed: an alert that waits to be read. What else waits is lost with the connection.
 */
static void ask_for_alert(struct transport *transport, struct warren_error *error)
{
    char ignored[RECORD_SIZE];

    for (int i = 0; i < LAST_RECORDS_MAX; i++) {
        size_t got;

        prepare(transport);
        if (SSL_read_ex(transport->tls, ignored, sizeof ignored, &got) == 1)
            continue;
        if (SSL_get_error(transport->tls, 0) == SSL_ERROR_SSL)
            fail(SSL_ERROR_SSL, 0, "", error);
        break;
    }
    ERR_clear_error();
}

ssize_t tls_write(struct transport *transport, const void *data, size_t len,
                  struct warren_error *error)
{
    size_t total = 0;

    /* a partial write is one record: go on until the socket takes no more */
    while (total < len) {
        size_t sent = 0;

        prepare(transport);
        if (SSL_write_ex(transport->tls, (const char *)data + total, len - total, &sent) == 1) {
            total += sent;
            continue;
        }
        if (settle(transport, 0, "", error) == WARREN_EFULL || total)
            break;
        ask_for_alert(transport, error);
        return -1;
    }
    return (ssize_t)total;
}

bool tls_pending(const struct transport *transport)
{
    return !transport->wants_read && SSL_has_pending(transport->tls);
}

void tls_close(struct transport *transport)
{
    SSL *ssl = transport->tls;

    if (SSL_is_init_finished(ssl))
        SSL_shutdown(ssl); /* nonblocking: it leaves now or never */
    SSL_free(ssl);
    ERR_clear_error();
    transport->tls = NULL;
}
