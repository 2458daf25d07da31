/* query.c - see query.h. */
#include "http/query.h"

#include <string.h>

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* One byte; @return how many characters it takes, 0: it is wrong */
static size_t decode_one(const char *from, size_t left, char *ret)
{
    int high, low;

    if (*from != '%') {
        *ret = *from == '+' ? ' ' : *from;
        return 1;
    }
    high = left > 2 ? digit_of(from[1]) : -1;
    low = left > 2 ? digit_of(from[2]) : -1;
    if (high < 0 || low < 0)
        return 0;
    *ret = (char)(high * 16 + low);
    return *ret ? 3 : 0;
}

static enum http_query_found decode(const char *from, size_t len, char *text, size_t size)
{
    size_t used = 0;

    while (len > 0) {
        size_t step = used + 1 < size ? decode_one(from, len, &text[used]) : 0;

        if (step == 0) {
            *text = '\0';
            return HTTP_QUERY_WRONG;
        }
        used++;
        from += step;
        len -= step;
    }
    text[used] = '\0';
    return HTTP_QUERY_FOUND;
}

enum http_query_found http_query_get(const struct http_request *request, const char *name,
                                     char *text, size_t size)
{
    size_t name_len = strlen(name);
    const char *at = request->query;

    *text = '\0';
    while (at && *at) {
        size_t len = strcspn(at, "&");

        if (len > name_len && at[name_len] == '=' && strncmp(at, name, name_len) == 0)
            return decode(at + name_len + 1, len - name_len - 1, text, size);
        at += len + (at[len] == '&');
    }
    return HTTP_QUERY_NONE;
}
