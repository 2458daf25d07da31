/* address.c - see address.h. */
#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/error.h"

#define EXPECTED "ADDRESS:PORT is expected, such as 127.0.0.1:9464 or [::1]:9464"
/* Of a text in a sentence. */
#define TEXT_MAX 100

static enum warren_status refuse(struct warren_error *error, const char *text, const char *why)
{
    return error_set(error, WARREN_ECONFIG, "\"%.*s\" %s", TEXT_MAX, text, why);
}

static bool read_port(const char *text, uint16_t *ret)
{
    unsigned long port = 0;

    if (!*text || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (!ascii_is_digit(*text))
            return false;
        port = port * 10 + (unsigned long)(*text - '0');
    }
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* "127.0.0.1" or "::1", which stood in brackets. */
static bool read_host(const char *host, bool brackets, uint16_t port, struct http_address *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&ret->at;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ret->at;

    *ret = (struct http_address){.len = brackets ? sizeof *six : sizeof *four};
    if (brackets) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
    }
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                     &four->sin_addr) == 1;
}

enum warren_status http_address_parse(const char *text, struct http_address *ret,
                                      struct warren_error *error)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    if (!colon)
        return refuse(error, text, "has no port: " EXPECTED);
    if (len == 0 || (len == 1 && *text == '*'))
        return refuse(
            error, text,
            "names no address: write 127.0.0.1 for this machine alone, or 0.0.0.0 or [::] "
            "for everybody who can reach it");
    if (!read_port(colon + 1, &port))
        return refuse(error, text, "has no port of 0 to 65535: " EXPECTED);
    if (!brackets && memchr(text, ':', len))
        return refuse(error, text, "has an address of IPv6, which belongs in brackets: " EXPECTED);
    if (len >= sizeof host)
        return refuse(error, text, "is no address: " EXPECTED);
    memcpy(host, text + brackets, len - 2 * brackets);
    host[len - 2 * brackets] = '\0';
    if (!read_host(host, brackets, port, ret))
        return refuse(error, text, "is no address, nor is a name taken for one: " EXPECTED);
    return WARREN_OK;
}

void http_address_text(const struct http_address *address, char text[HTTP_ADDRESS_TEXT_MAX])
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->at;
    char host[INET6_ADDRSTRLEN] = "";

    if (address->at.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(text, HTTP_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(text, HTTP_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(four->sin_port));
    }
}

bool http_address_is_loopback(const struct http_address *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->at;

    if (address->at.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    return ntohl(four->sin_addr.s_addr) >> 24 == 127;
}
