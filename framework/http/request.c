/* request.c - see request.h. */
#include "http/request.h"

#include <string.h>

#include "base/ascii.h"

#define METHOD_MAX 16

/* ---- finding the end ---- */

size_t http_head_len(const char *data, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if (data[i] != '\n')
            continue;
        if (data[i - 1] == '\n')
            return i + 1;
        if (i >= 2 && data[i - 1] == '\r' && data[i - 2] == '\n')
            return i + 1;
    }
    return 0;
}

/* ---- words ---- */

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!ascii_is_alnum(text[i]) && (!text[i] || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return len > 0;
}

/* The line at *@at, without its end, which becomes a NUL; NULL: it does not end in CR LF. */
static char *take_line(char **at, const char *end)
{
    char *line = *at;
    char *stop = memchr(line, '\n', (size_t)(end - line));

    if (!stop || stop == line || stop[-1] != '\r')
        return NULL;
    stop[-1] = '\0';
    *at = stop + 1;
    return strlen(line) == (size_t)(stop - 1 - line) ? line : NULL; /* else there is a NUL in it */
}

/* "close, Keep-Alive" has the word. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (*list) {
        size_t item;

        list += strspn(list, ", \t");
        item = strcspn(list, ", \t");
        if (item == len && ascii_same_n(list, word, len))
            return true;
        list += item;
    }
    return false;
}

/* ---- the first line ---- */

static int refuse(int status, const char *why, const char **ret_why)
{
    *ret_why = why;
    return status;
}

/* "/path", or what a proxy is sent: "http://host/path". */
static char *path_of(char *target)
{
    if (*target == '/' || strcmp(target, "*") == 0)
        return target;
    if (!ascii_same_n(target, "http://", 7) && !ascii_same_n(target, "https://", 8))
        return NULL;
    return strchr(strchr(target, ':') + 3, '/');
}

static bool is_target(const char *target)
{
    for (; *target; target++)
        if (*target <= ' ' || *target == 0x7f) /* bytes above 0x7f are negative */
            return false;
    return true;
}

static int parse_first(char *line, struct http_request *request, const char **ret_why)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    char *query;

    if (!version || strchr(version + 1, ' '))
        return refuse(400, "the first line is not METHOD PATH VERSION", ret_why);
    *target++ = '\0';
    *version++ = '\0';
    if (!is_token(line, strlen(line)) || strlen(line) > METHOD_MAX)
        return refuse(400, "that is no method", ret_why);
    if (strncmp(version, "HTTP/", 5) != 0)
        return refuse(400, "the first line does not end in a version of HTTP", ret_why);
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here", ret_why);
    request->keep_alive = version[7] == '1';
    request->method = line;
    target = is_target(target) ? path_of(target) : NULL;
    if (!target)
        return refuse(400, "that is no path", ret_why);
    query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    request->path = target;
    request->query = query;
    return 0;
}

/* ---- the other lines ---- */

static int parse_header(char *line, struct http_request *request, const char **ret_why)
{
    size_t name_len = strcspn(line, ":");
    char *value = line + name_len;
    char *end;

    if (!*value || !is_token(line, name_len))
        return refuse(400, "a header is not of the form \"Name: value\"", ret_why);
    if (request->header_count == HTTP_HEADERS_MAX)
        return refuse(431, "there are too many headers", ret_why);
    *value++ = '\0';
    value += strspn(value, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (const char *c = value; *c; c++)
        if (ascii_is_cntrl(*c) && *c != '\t')
            return refuse(400, "a header has control bytes in it", ret_why);
    request->headers[request->header_count++] = (struct http_header){line, value};
    return 0;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (ascii_same(request->headers[i].name, name))
            return request->headers[i].value;
    return NULL;
}

static size_t count_of(const struct http_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++)
        count += ascii_same(request->headers[i].name, name);
    return count;
}

/* ---- what the headers mean ---- */

static int read_length(struct http_request *request, const char **ret_why)
{
    const char *text = http_request_header(request, "Content-Length");
    size_t len = 0;

    if (count_of(request, "Transfer-Encoding") > 0)
        return refuse(text ? 400 : 501, "a body must have a Content-Length, and no other coding",
                      ret_why);
    if (!text)
        return 0;
    if (!*text || count_of(request, "Content-Length") > 1)
        return refuse(400, "Content-Length is to stand there once, and to be a number", ret_why);
    for (; *text; text++) {
        if (!ascii_is_digit(*text))
            return refuse(400, "Content-Length is to stand there once, and to be a number",
                          ret_why);
        len = len * 10 + (size_t)(*text - '0');
        if (len > HTTP_BODY_MAX)
            return refuse(413, "the body is above 1 MiB", ret_why);
    }
    request->body_len = len;
    return 0;
}

static int read_meaning(struct http_request *request, const char **ret_why)
{
    const char *connection = http_request_header(request, "Connection");
    const char *expect = http_request_header(request, "Expect");
    size_t hosts = count_of(request, "Host");

    /* HTTP/1.0 has none, and is answered once. */
    if (hosts > 1 || (hosts == 0 && request->keep_alive))
        return refuse(400, "the header Host is to stand there once", ret_why);
    if (connection && has_word(connection, "close"))
        request->keep_alive = false;
    if (expect && !ascii_same(expect, "100-continue"))
        return refuse(417, "only 100-continue can be expected", ret_why);
    request->expects_continue = expect != NULL;
    return read_length(request, ret_why);
}

int http_request_parse(char *head, size_t len, struct http_request *ret, const char **ret_why)
{
    const char *end = head + len;
    char *line = take_line(&head, end);
    int status;

    *ret = (struct http_request){0};
    if (!line)
        return refuse(400, "lines must end in CR LF, and hold no NUL", ret_why);
    status = parse_first(line, ret, ret_why);
    while (status == 0) {
        line = take_line(&head, end);
        if (!line)
            return refuse(400, "lines must end in CR LF, and hold no NUL", ret_why);
        if (!*line)
            return read_meaning(ret, ret_why);
        status = parse_header(line, ret, ret_why);
    }
    return status;
}
