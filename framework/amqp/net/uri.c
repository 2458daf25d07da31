/* uri.c - see uri.h.
 *
 * No piece of the input stands in an error text: with a stray '/' or '@' in the password, any
 * piece may be a part of it.
 */
#include "amqp/net/uri.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/error.h"

#define PORT_PLAIN 5672
#define PORT_TLS   5671

#define IN_PASSWORD                                                                                \
    " (in a user or password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F)"

/* A piece of the URI, not decoded. */
struct piece {
    const char *begin;
    const char *end;
};

static enum warren_status refuse(struct warren_error *error, const char *why, const char *more)
{
    return error_set(error, WARREN_ECONFIG, "broker URI: %s%s", why, more);
}

static const char *find(struct piece piece, char c)
{
    return memchr(piece.begin, c, (size_t)(piece.end - piece.begin));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode @piece; @what names it in an error. */
static enum warren_status decode(struct piece piece, const char *what, char out[URI_PART_MAX],
                                 struct warren_error *error)
{
    size_t len = 0;

    while (piece.begin < piece.end) {
        unsigned char c = (unsigned char)*piece.begin++;

        if (c <= ' ' || c == 0x7F)
            return refuse(error, what, " holds a space or a control character");
        if (c == '%') {
            int high = piece.end - piece.begin < 2 ? -1 : hex_digit(piece.begin[0]);
            int low = high < 0 ? -1 : hex_digit(piece.begin[1]);

            if (low < 0)
                return refuse(error, what, " has a % without two hex digits (write % as %25)");
            c = (unsigned char)(high * 16 + low);
            piece.begin += 2;
            if (c == '\0')
                return refuse(error, what, " holds %00");
        }
        if (len == URI_PART_MAX - 1)
            return refuse(error, what, " is longer than 255 bytes");
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return WARREN_OK;
}

static enum warren_status parse_scheme(const char **text, struct uri *uri,
                                       struct warren_error *error)
{
    if (ascii_same_n(*text, "amqps://", 8)) {
        uri->tls = true;
        uri->port = PORT_TLS;
        *text += 8;
        return WARREN_OK;
    }
    if (ascii_same_n(*text, "amqp://", 7)) {
        uri->port = PORT_PLAIN;
        *text += 7;
        return WARREN_OK;
    }
    return refuse(error, "it must begin with amqp:// or amqps://", "");
}

static enum warren_status parse_login(struct piece login, struct uri *uri,
                                      struct warren_error *error)
{
    struct piece password = {login.end, login.end};
    const char *colon = find(login, ':');
    enum warren_status status;

    if (colon) {
        password.begin = colon + 1;
        login.end = colon;
    }
    status = decode(login, "the user", uri->user, error);
    if (status != WARREN_OK)
        return status;
    return decode(password, "the password", uri->password, error);
}

static enum warren_status parse_port(struct piece digits, struct uri *uri,
                                     struct warren_error *error)
{
    unsigned long port = 0;

    for (const char *at = digits.begin; at < digits.end; at++) {
        if (!ascii_is_digit(*at) || port > UINT16_MAX) {
            port = 0;
            break;
        }
        port = port * 10 + (unsigned long)(*at - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return refuse(error, "the port is not a number from 1 to 65535", IN_PASSWORD);
    uri->port = (uint16_t)port;
    return WARREN_OK;
}

static bool is_ipv6(const char *host)
{
    struct in6_addr address;
    char text[URI_PART_MAX];

    snprintf(text, sizeof text, "%s", host);
    text[strcspn(text, "%")] = '\0'; /* the zone of a link-local address */
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* [address] or [address]:port; @host begins with the bracket. */
static enum warren_status parse_ipv6(struct piece host, struct uri *uri, struct warren_error *error)
{
    const char *bracket = find(host, ']');
    struct piece inside = {host.begin + 1, bracket};
    struct piece port = {bracket ? bracket + 2 : NULL, host.end};
    enum warren_status status;

    if (!bracket)
        return refuse(error, "a [ without a ]", "");
    status = decode(inside, "the host", uri->host, error);
    if (status != WARREN_OK)
        return status;
    if (!is_ipv6(uri->host))
        return refuse(error, "between [ and ] there is no IPv6 address", "");
    if (bracket + 1 == host.end)
        return WARREN_OK;
    if (bracket[1] != ':')
        return refuse(error, "after the ] comes neither : nor /", "");
    return parse_port(port, uri, error);
}

static enum warren_status parse_host(struct piece host, struct uri *uri, struct warren_error *error)
{
    struct piece port = {NULL, host.end};
    const char *colon;
    enum warren_status status;

    if (host.begin < host.end && *host.begin == '[')
        return parse_ipv6(host, uri, error);

    colon = find(host, ':');
    if (colon) {
        port.begin = colon + 1;
        if (find(port, ':'))
            return refuse(error, "more than one : in the host; an IPv6 address stands in [ ]",
                          IN_PASSWORD);
        host.end = colon;
        status = parse_port(port, uri, error);
        if (status != WARREN_OK)
            return status;
    }
    if (host.begin == host.end)
        return WARREN_OK; /* the default */
    return decode(host, "the host", uri->host, error);
}

static enum warren_status parse_all(const char *text, struct uri *uri, struct warren_error *error)
{
    enum warren_status status = parse_scheme(&text, uri, error);
    struct piece rest, authority, login, vhost;
    const char *at;

    if (status != WARREN_OK)
        return status;
    if (strpbrk(text, "?#"))
        return refuse(error, "? and # are not allowed; TLS files and the like are options",
                      IN_PASSWORD);
    rest.begin = text;
    rest.end = text + strlen(text);
    authority.begin = text;
    authority.end = find(rest, '/') ? find(rest, '/') : rest.end;
    at = find(authority, '@');
    if (at) {
        login.begin = authority.begin;
        login.end = at;
        authority.begin = at + 1;
        if (find(authority, '@'))
            return refuse(error, "more than one @ in front of the host", IN_PASSWORD);
        status = parse_login(login, uri, error);
        if (status != WARREN_OK)
            return status;
    }
    status = parse_host(authority, uri, error);
    if (status != WARREN_OK || rest.end - authority.end < 2)
        return status; /* no vhost, or only the slash in front of it */
    vhost.begin = authority.end + 1;
    vhost.end = rest.end;
    return decode(vhost, "the vhost", uri->vhost, error);
}

enum warren_status uri_parse(const char *text, struct uri *uri, struct warren_error *error)
{
    enum warren_status status;

    memset(uri, 0, sizeof *uri);
    strcpy(uri->host, "localhost");
    strcpy(uri->user, "guest");
    strcpy(uri->password, "guest");
    strcpy(uri->vhost, "/");
    status = parse_all(text, uri, error);
    if (status != WARREN_OK)
        memset(uri, 0, sizeof *uri);
    return status;
}

void uri_use_empty_path(const char *text, struct uri *uri)
{
    const char *authority = strstr(text, "://");
    const char *slash = authority ? strchr(authority + 3, '/') : NULL;

    if (slash && !slash[1])
        uri->vhost[0] = '\0';
}

void uri_describe(const struct uri *uri, char *text, size_t size)
{
    bool is_default = strcmp(uri->vhost, "/") == 0; /* it is read back from nothing */
    bool bare = !strchr(uri->host, ':');
    char vhost[3 * URI_PART_MAX] = "";
    char *end = vhost;

    for (const char *c = uri->vhost; *c && !is_default; c++)
        end += sprintf(end, ascii_is_alnum(*c) || strchr("-._~/", *c) ? "%c" : "%%%02X",
                       (unsigned char)*c);
    snprintf(text, size, "%s://%s%s%s:%u/%s", uri->tls ? "amqps" : "amqp", bare ? "" : "[",
             uri->host, bare ? "" : "]", uri->port, vhost);
}
