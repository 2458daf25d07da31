/* stream.h - answers without an end, all of which get the same pieces: server-sent events. A piece
 * is made once, and shared by all that it is still to be sent to.
 *
 * Who has not taken a piece when the next one comes does not get that one; who has not for
 * HTTP_LAG_MS is closed. So as many pieces are kept as come in that time, however many watch.
 * Thread: the server's.
 */
#ifndef WARREN_HTTP_STREAM_H
#define WARREN_HTTP_STREAM_H

#include "http/server.h"

/** Those that stream at once; who comes then gets 503. Of HTTP_CONNECTIONS_MAX some are left. */
#define HTTP_WATCHERS_MAX 128
#define HTTP_LAG_MS       10000

/** Bytes that are shared, by counting. */
struct http_piece;

/** A copy of these. NULL: there is no memory. */
struct http_piece *http_piece_new(const void *bytes, size_t len);
/** NULL is fine. */
void http_piece_unref(struct http_piece *piece);

/** In place of an answer: from now on the connection gets what is sent, @first (NULL: nothing) at
 * once. */
void http_answer_stream(struct http_exchange *exchange, const char *type, struct http_piece *first);

/** How many watch. */
uint32_t http_stream_watchers(const struct http_server *server);
/** To all of them. */
void http_stream_send(struct http_server *server, struct http_piece *piece);

#endif
