/* tls_context.c - the files and rules of TLS, and the socket BIO.
 *
 * OpenSSL's own socket BIO write()s, which raises SIGPIPE; a library must not change how its
 * host treats signals, hence a BIO that send()s with MSG_NOSIGNAL.
 */
#include "amqp/net/tls_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "amqp/net/tls_server.h"
#include "base/error.h"
#include "base/input_file.h"

const char *transport_tls_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

/* ---- the socket BIO ---- */

static int bio_fd(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *data, int len)
{
    bool later;
    ssize_t sent = transport_send(bio_fd(bio), data, (size_t)len, &later);

    BIO_clear_retry_flags(bio);
    if (later)
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *data, int len)
{
    bool later;
    ssize_t got = transport_recv(bio_fd(bio), data, (size_t)len, &later);

    BIO_clear_retry_flags(bio);
    if (later)
        BIO_set_retry_read(bio);
    return (int)got;
}

static long socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is kept back; no other command is known */
}

BIO *tls_socket_new(const struct tls_context *context, int fd)
{
    BIO *bio = BIO_new(context->socket);

    if (!bio)
        return NULL;
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    return bio;
}

static BIO_METHOD *socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "warren socket");

    if (!method)
        return NULL;
    BIO_meth_set_write(method, socket_write);
    BIO_meth_set_read(method, socket_read);
    BIO_meth_set_ctrl(method, socket_ctrl);
    return method;
}

/* ---- the files ---- */

/* OpenSSL's word for the first thing that went wrong; empties the queue. */
static const char *first_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return reason ? reason : "unknown reason";
}

/* Before OpenSSL opens it, which would wait for the writer of a pipe. */
static enum warren_status check_file(struct warren_error *error, const char *what, const char *file)
{
    const char *why;
    int fd = input_file_open(file, &why);

    if (fd < 0)
        return error_set(error, WARREN_ECONFIG, "cannot read the %s \"%s\": %s", what, file, why);
    close(fd);
    return WARREN_OK;
}

/* It can be read, and is no PEM of that kind. */
static enum warren_status file_fault(struct warren_error *error, const char *what, const char *file)
{
    return error_set(error, WARREN_ECONFIG, "the %s \"%s\" cannot be used: %s", what, file,
                     first_reason());
}

/* A prompt on the terminal would block a worker for ever. */
static int no_passphrase(char *text, int size, int writing, void *user)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static enum warren_status load_authorities(SSL_CTX *ssl, const char *file,
                                           struct warren_error *error)
{
    if (!file) {
        if (SSL_CTX_set_default_verify_paths(ssl) == 1)
            return WARREN_OK;
        return error_set(error, WARREN_ECONFIG, "cannot load the system's CA certificates: %s",
                         first_reason());
    }
    if (check_file(error, "CA file", file) != WARREN_OK)
        return WARREN_ECONFIG;
    if (SSL_CTX_load_verify_file(ssl, file) != 1)
        return file_fault(error, "CA file", file);
    /* what was named expressly is an anchor, be it root, intermediate or the broker's own */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return WARREN_OK;
}

#define KEY_FILE "key file (which must not be encrypted)"

static enum warren_status load_certificate(SSL_CTX *ssl, const struct tls_options *options,
                                           struct warren_error *error)
{
    const char *cert = options->cert_file;
    const char *key = options->key_file;

    if (!cert && !key)
        return WARREN_OK;
    if (!cert || !key)
        return error_set(error, WARREN_ECONFIG,
                         "a certificate needs two files: the certificate and its key");
    if (check_file(error, "certificate file", cert) != WARREN_OK ||
        check_file(error, KEY_FILE, key) != WARREN_OK)
        return WARREN_ECONFIG;
    if (SSL_CTX_use_certificate_chain_file(ssl, cert) != 1)
        return file_fault(error, "certificate file", cert);
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH) {
            ERR_clear_error();
            return error_set(error, WARREN_ECONFIG,
                             "the key file \"%s\" does not belong to the certificate file \"%s\"",
                             key, cert);
        }
        return file_fault(error, KEY_FILE, key);
    }
    return WARREN_OK;
}

/* ---- the context ---- */

static void set_rules(SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    /* the output buffer moves as it grows; idle connections give their buffers back */
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1); /* one recv for many small records */
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
}

enum warren_status tls_context_new(const struct tls_options *options, struct tls_context **ret,
                                   struct warren_error *error)
{
    struct tls_context *context = calloc(1, sizeof *context);
    enum warren_status status;

    if (!context)
        return error_set(error, WARREN_ENOMEM, "no memory for TLS");
    ERR_clear_error();
    context->ssl = SSL_CTX_new(TLS_client_method());
    context->socket = socket_method();
    if (!context->ssl || !context->socket) {
        status = error_set(error, WARREN_ENOMEM, "OpenSSL cannot start: %s", first_reason());
        goto fail;
    }
    set_rules(context->ssl);
    status = load_authorities(context->ssl, options->ca_file, error);
    if (status == WARREN_OK)
        status = load_certificate(context->ssl, options, error);
    if (status != WARREN_OK)
        goto fail;
    *ret = context;
    return WARREN_OK;

fail:
    tls_context_free(context);
    return status;
}

/* ---- for who listens ---- */

static enum warren_status load_for_server(SSL_CTX *ssl, const struct tls_options *options,
                                          struct warren_error *error)
{
    enum warren_status status = load_certificate(ssl, options, error);

    if (status != WARREN_OK || !options->ca_file)
        return status;
    status = load_authorities(ssl, options->ca_file, error);
    if (status == WARREN_OK) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        /* What a client is told, so that it knows which certificate to send. */
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(options->ca_file));
    }
    return status;
}

enum warren_status tls_server_context_new(const struct tls_options *options, SSL_CTX **ret,
                                          struct warren_error *error)
{
    SSL_CTX *ssl;
    enum warren_status status;

    if (!options->cert_file || !options->key_file)
        return error_set(error, WARREN_ECONFIG, "TLS needs two files: the certificate and its key");
    ERR_clear_error();
    ssl = SSL_CTX_new(TLS_server_method());
    if (!ssl)
        return error_set(error, WARREN_ENOMEM, "OpenSSL cannot start: %s", first_reason());
    set_rules(ssl);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_read_ahead(ssl, 0);  /* libevent asks for what is decoded alone */
    SSL_CTX_set_num_tickets(ssl, 0); /* there is no session to resume */
    status = load_for_server(ssl, options, error);
    ERR_clear_error();
    if (status == WARREN_OK)
        *ret = ssl;
    else
        SSL_CTX_free(ssl);
    return status;
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->socket);
    free(context);
}
