/* login.c - see login.h. */
#include "http/login.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/error.h"

#define PORT_MAX 65535

static enum warren_status refuse(struct warren_error *error, const char *why)
{
    return error_set(error, WARREN_ECONFIG, "it must be http://HOST:PORT or https://HOST:PORT, %s",
                     why);
}

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* @return false: an unfinished %XX, a NUL, or too long */
static bool decode(const char *from, size_t len, char out[HTTP_LOGIN_PART_SIZE])
{
    const char *end = from + len;
    size_t used = 0;

    while (from < end) {
        char c = *from++;

        if (c == '%') {
            int high = end - from < 2 ? -1 : hex_digit(from[0]);
            int low = high < 0 ? -1 : hex_digit(from[1]);

            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            from += 2;
        }
        if (c == '\0' || used == HTTP_LOGIN_PART_SIZE - 1)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (ascii_is_cntrl(*text) || *text == ' ')
            return false;
    return true;
}

/* "user:password" of @len bytes. */
static bool take_login(const char *text, size_t len, struct http_login *ret)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon ? (size_t)(colon - text) : len;

    ret->has_user = true;
    ret->has_password = colon != NULL;
    return decode(text, user_len, ret->user) &&
           (!colon || decode(colon + 1, len - user_len - 1, ret->password));
}

/* @return where the port of "host:port" begins; @len: there is none */
static size_t port_of(const char *text, size_t len)
{
    size_t port = len;

    while (port > 0 && ascii_is_digit(text[port - 1]))
        port--;
    return port > 0 && text[port - 1] == ':' ? port : len;
}

static bool is_host(const char *text, size_t len)
{
    size_t port = port_of(text, len);

    if (port < len)
        len = port - 1;
    if (len > 2 && *text == '[')
        return text[len - 1] == ']';
    for (size_t i = 0; i < len; i++)
        if (!ascii_is_alnum(text[i]) && !strchr(".-_", text[i]))
            return false;
    return len > 0;
}

/* There may be none. */
static bool is_port(const char *text, size_t len)
{
    long number = 0;

    for (size_t i = port_of(text, len); i < len; i++)
        number = number > PORT_MAX ? number : number * 10 + (text[i] - '0');
    return port_of(text, len) == len || (number > 0 && number <= PORT_MAX);
}

enum warren_status http_login_parse(const char *url, struct http_login *ret,
                                    struct warren_error *error)
{
    size_t scheme = ascii_same_n(url, "https://", 8) ? 8 : ascii_same_n(url, "http://", 7) ? 7 : 0;
    const char *host = url + scheme;
    size_t len = strcspn(host, "/");
    const char *at = NULL;
    int written;

    *ret = (struct http_login){.base = ""};
    if (scheme == 0)
        return refuse(error, "and begin so");
    if (!is_plain(url) || strpbrk(url, "?#"))
        return refuse(error, "without a blank, a control byte, ? or # (in a password %3F, %23)");
    for (size_t i = 0; i < len; i++)
        if (host[i] == '@')
            at = host + i;
    if (at && !take_login(host, (size_t)(at - host), ret))
        return refuse(error, "with a user and a password of at most 255 bytes, in which % is %25");
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (!is_host(host, len) || strchr(host, '@'))
        return refuse(error, "perhaps with USER:PASSWORD@ before HOST, in which / is %2F, @ is %40 "
                             "and : is %3A");
    if (!is_port(host, len))
        return refuse(error, "and PORT is a number from 1 to 65535");
    written = snprintf(ret->base, sizeof ret->base, "%.*s%s", (int)scheme, url, host);
    if (written < 0 || (size_t)written >= sizeof ret->base)
        return refuse(error, "and not that long");
    for (len = (size_t)written; ret->base[len - 1] == '/'; len--)
        ret->base[len - 1] = '\0';
    return WARREN_OK;
}

void http_login_header(const char *user, const char *password, char text[HTTP_LOGIN_HEADER_SIZE])
{
    static const char name[] = "Authorization: Basic ";
    char both[2 * HTTP_LOGIN_PART_SIZE];
    size_t len;

    snprintf(both, sizeof both, "%s:%s", user, password);
    len = strlen(both);
    memcpy(text, name, sizeof name - 1);
    base64_encode(both, len, text + sizeof name - 1);
    text[sizeof name - 1 + base64_encoded_len(len)] = '\0';
    explicit_bzero(both, sizeof both);
}
