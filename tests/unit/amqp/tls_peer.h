/* tls_peer.h - a TLS server on the other end of a socket pair.
 * For test_tls.c alone; header-only, for a unit test is one source file.
 */
#ifndef WARREN_TESTS_TLS_PEER_H
#define WARREN_TESTS_TLS_PEER_H

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../tls_identity.h"
#include "support/test.h"

/* ---- the other end ---- */

/* What the peer does once connected. */
enum peer_conduct {
    PEER_ECHO,       /* accept, send back what comes, until the client says goodbye */
    PEER_DROP,       /* accept, then close without a goodbye */
    PEER_SILENT,     /* accept, then read nothing; closed by peer_join() */
    PEER_PLAIN_TEXT, /* answer with @words in plain text, then close */
    PEER_CLOSE       /* close at the first byte */
};

struct peer {
    enum peer_conduct conduct;
    const struct identity *identity;
    const struct identity *client_ca; /* a client certificate of this one is required */
    int max_version;                  /* 0: any */
    const char *words;
    int fd;
    pthread_t thread;
    char seen_host[128]; /* SNI; after peer_join() */
    char seen_client[128];
    int seen_version;
};

static SSL_CTX *peer_context(const struct peer *peer)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(context, peer->identity->certificate);
    SSL_CTX_use_PrivateKey(context, peer->identity->key);
    if (peer->max_version) {
        SSL_CTX_set_min_proto_version(context, 0);
        SSL_CTX_set_max_proto_version(context, peer->max_version);
        SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    }
    if (peer->client_ca) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), peer->client_ca->certificate);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}

static void peer_note(struct peer *peer, SSL *ssl)
{
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    X509 *client = SSL_get0_peer_certificate(ssl);

    snprintf(peer->seen_host, sizeof peer->seen_host, "%s", host ? host : "");
    if (client)
        X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName, peer->seen_client,
                                  sizeof peer->seen_client);
    peer->seen_version = SSL_version(ssl);
}

static void peer_echo(SSL *ssl)
{
    char data[32768];
    int got;

    while ((got = SSL_read(ssl, data, sizeof data)) > 0)
        if (SSL_write(ssl, data, got) != got)
            break;
}

static void peer_talk(struct peer *peer)
{
    SSL_CTX *context = peer_context(peer);
    SSL *ssl = SSL_new(context);

    SSL_set_fd(ssl, peer->fd);
    if (SSL_accept(ssl) == 1) {
        peer_note(peer, ssl);
        if (peer->conduct == PEER_ECHO)
            peer_echo(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void *peer_run(void *arg)
{
    struct peer *peer = arg;
    char byte;

    switch (peer->conduct) {
    case PEER_ECHO:
    case PEER_DROP:
    case PEER_SILENT:
        peer_talk(peer);
        break;
    case PEER_PLAIN_TEXT:
        if (recv(peer->fd, &byte, 1, 0) == 1)
            send(peer->fd, peer->words, strlen(peer->words), MSG_NOSIGNAL);
        break;
    case PEER_CLOSE:
        recv(peer->fd, &byte, 1, 0);
        break;
    }
    if (peer->conduct != PEER_SILENT)
        close(peer->fd);
    OPENSSL_thread_stop();
    return NULL;
}

/* Start @peer; the result is the client's end, nonblocking. */
static int peer_start(struct peer *peer)
{
    sigset_t pipe_signal, before;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    peer->fd = ends[1];
    /* OpenSSL's own socket BIO may raise SIGPIPE; in the peer's thread alone it is blocked */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ends[0];
}

/* After the client closed its end. */
static void peer_join(struct peer *peer)
{
    pthread_join(peer->thread, NULL);
    if (peer->conduct == PEER_SILENT)
        close(peer->fd);
}

#endif
