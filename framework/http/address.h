/* address.h - where somebody listens: "127.0.0.1:9464", "[::1]:9464". Numbers, not names, for a
 * name may mean several addresses, or other ones tomorrow; "localhost" is 127.0.0.1. All addresses
 * of the machine are asked for as such, 0.0.0.0 or [::], never by leaving the address out.
 * Thread: any.
 */
#ifndef WARREN_HTTP_ADDRESS_H
#define WARREN_HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include <warren/status.h>

/** Enough for "[ADDRESS]:PORT". */
#define HTTP_ADDRESS_TEXT_MAX 72

struct http_address {
    struct sockaddr_storage at;
    socklen_t len;
};

/**
 * Read @text. Port 0: whichever is free.
 *
 * @return WARREN_OK, or WARREN_ECONFIG with @error
 */
enum warren_status http_address_parse(const char *text, struct http_address *ret,
                                      struct warren_error *error);

/** As the same can be written, with the port that a socket got. */
void http_address_text(const struct http_address *address, char text[HTTP_ADDRESS_TEXT_MAX]);

/** Only this machine reaches it. */
bool http_address_is_loopback(const struct http_address *address);

#endif
