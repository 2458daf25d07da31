/* server.h - who answers requests by HTTP or HTTPS, on a thread of its own: a table of routes, each
 * with a function that answers at once.
 *
 *   accept > [TLS] > head > body > route > token > handler > answer > the next, or the end
 *
 * Not libevent's evhttp, which bounds neither the number of connections nor the time of a whole
 * request, reads on while it answers, and forgets the answer of a peer that is half closed.
 * Bounds: see the defines below, and request.h. Whoever is beyond them is answered and closed.
 * Thread: any, but for what handlers call. Elsewhere: what is answered (observe/).
 */
#ifndef WARREN_HTTP_SERVER_H
#define WARREN_HTTP_SERVER_H

#include "amqp/net/transport.h"
#include "http/address.h"
#include "http/exchange.h"

/** Connections. Above it the one that idles longest makes room, else the one that has not finished
 * its handshake or request for longest; if all are being answered, the new one is closed at once.
 */
#define HTTP_CONNECTIONS_MAX 256
/** From the first byte of a request to its last one; and the same for the answer; and for the
 * handshake of TLS. */
#define HTTP_REQUEST_MS 10000
/** Until a request begins. */
#define HTTP_IDLE_MS 60000
/** After the last answer, until the peer has closed, too. */
#define HTTP_LINGER_MS 2000
/** Bytes of all answers that are not sent yet; above it requests get 503. */
#define HTTP_UNSENT_MAX ((size_t)32 << 20)

struct http_server;

/** Strings and the table are borrowed until http_server_free(). */
struct http_server_options {
    const char *name; /* of the thread */
    const char *what; /* of its socket, for the report of a descriptor that was taken away */
    const struct http_address *address;
    const struct http_route *routes; /* one without a path ends them */
    void *user;                      /* of their handlers */
    const char *token_file;          /* NULL: routes that need a token are open */
    struct tls_options tls;          /* all NULL: no TLS */
    uint32_t request_ms;             /* in place of the bounds above, for tests; 0: those */
    uint32_t idle_ms;
    uint32_t lag_ms; /* see stream.h */
};

/** Can these files be used? WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error. */
enum warren_status http_tls_check(const struct tls_options *tls, struct warren_error *error);

/**
 * Read the files, bind and listen; nobody is answered yet.
 *
 * @return WARREN_OK; WARREN_ECONFIG: a file is wrong, or the address cannot be had; WARREN_ENOMEM;
 *         WARREN_EIO. With @error
 */
enum warren_status http_server_new(const struct http_server_options *options,
                                   struct http_server **ret_server, struct warren_error *error);
/** Start the thread. WARREN_OK, or WARREN_EIO with @error. */
enum warren_status http_server_start(struct http_server *server, struct warren_error *error);

/** Where it listens, with its port. */
void http_server_text(const struct http_server *server, char text[HTTP_ADDRESS_TEXT_MAX]);

/** The loop of its thread, for timers of the handlers' owner. */
struct loop *http_server_loop(struct http_server *server);

/** Read token and certificate again, soon; where that fails, those before stay, and the log says
 * why. */
void http_server_reload(struct http_server *server);

/** End the thread, so that what was put on its loop can be taken off. Harmless to repeat. */
void http_server_stop(struct http_server *server);
/** The same, and close everything. NULL is fine. */
void http_server_free(struct http_server *server);

#endif
