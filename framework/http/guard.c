/* guard.c - see guard.h. */
#include "http/guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool is_same_host(const char *origin, const char *host)
{
    if (strncmp(origin, "https://", 8) == 0)
        origin += 8;
    else if (strncmp(origin, "http://", 7) == 0)
        origin += 7;
    else
        return false;
    return host && strcasecmp(origin, host) == 0;
}

bool http_guard_origin(const struct http_request *request)
{
    const char *origin = http_request_header(request, "Origin");
    const char *site = http_request_header(request, "Sec-Fetch-Site");

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    return !origin || is_same_host(origin, http_request_header(request, "Host"));
}

/* Up to the port, which is digits. */
static bool copy_host(const char *host, char copy[INET6_ADDRSTRLEN + 2])
{
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (len > strlen(host) || len >= INET6_ADDRSTRLEN + 2)
        return false;
    memcpy(copy, host, len);
    copy[len] = '\0';
    host += len;
    return !*host || (*host == ':' && strspn(host + 1, "0123456789") == strlen(host + 1));
}

bool http_guard_host(const struct http_request *request)
{
    const char *host = http_request_header(request, "Host");
    char text[INET6_ADDRSTRLEN + 2];
    struct in6_addr address;
    size_t len;

    if (!host || !copy_host(host, text))
        return false;
    len = strlen(text);
    if (*text != '[')
        return strcasecmp(text, "localhost") == 0 || inet_pton(AF_INET, text, &address) == 1;
    text[len - 1] = '\0';
    return inet_pton(AF_INET6, text + 1, &address) == 1;
}
