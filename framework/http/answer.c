/* answer.c - from a request to its route, and the answers. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/ascii.h"
#include "http/guard.h"
#include "http/server_private.h"

/* Of an answer that names the paths that there are. */
#define ERROR_MAX ((size_t)16 * 1024)
/* One that is not of the table counts as it. */
#define STATUS_OTHER 500
/* Of every answer: what a browser may do with it is what our own page needs. */
#define FOR_BROWSERS                                                                               \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"      \
    "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"                \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors "     \
    "'none'\r\n"

static const struct {
    int number;
    const char *reason;
} statuses[] = {{200, "OK"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {408, "Request Timeout"},
                {409, "Conflict"},
                {413, "Content Too Large"},
                {417, "Expectation Failed"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {503, "Service Unavailable"},
                {505, "HTTP Version Not Supported"}};

_Static_assert(sizeof statuses / sizeof *statuses == HTTP_STATUSES, "each status has its count");

static size_t status_index(int number)
{
    size_t other = 0;

    for (size_t i = 0; i < HTTP_STATUSES; i++) {
        if (statuses[i].number == number)
            return i;
        if (statuses[i].number == STATUS_OTHER)
            other = i;
    }
    return other;
}

/* ---- counting ---- */

void http_metrics_init(struct http_server *server)
{
    char code[8];

    for (size_t i = 0; i < HTTP_STATUSES; i++) {
        snprintf(code, sizeof code, "%d", statuses[i].number);
        server->series.requests[i] = metric_series(METRIC_ADMIN_REQUESTS, code);
    }
    server->series.open = metric_series(METRIC_ADMIN_CONNECTIONS);
    server->series.refused = metric_series(METRIC_ADMIN_REFUSED);
    server->series.watching = metric_series(METRIC_ADMIN_WATCHERS);
    server->series.lagged = metric_series(METRIC_ADMIN_WATCHERS_LAGGED);
}

/* ---- answers ---- */

/* "Sun, 06 Nov 1994 08:49:37 GMT", in whatever locale. */
static void write_date(char text[32])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    snprintf(text, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday], utc.tm_mday,
             months[utc.tm_mon], (utc.tm_year + 1900) % 10000, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* @extra: lines of the head, each with its end */
static void answer(struct http_connection *c, int status, const char *extra, const char *type,
                   const void *body, size_t len)
{
    struct http_request *request = &c->exchange.request;
    struct evbuffer *out = bufferevent_get_output(c->bev);
    size_t index = status_index(status);
    char date[32];

    c->exchange.status = status;
    write_date(date);
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: "
                        "%zu\r\n" FOR_BROWSERS "%s%s\r\n",
                        statuses[index].number, statuses[index].reason, date, type, len, extra,
                        request->keep_alive ? "" : "Connection: close\r\n");
    if (!request->method || strcmp(request->method, "HEAD") != 0)
        evbuffer_add(out, body, len);
    warren_count(c->server->series.requests[index], 1);
    bufferevent_disable(c->bev, EV_READ);
    c->state = HTTP_ANSWERING;
    c->until_ms = loop_now_ms(c->server->loop) + c->server->options.request_ms;
}

void http_begin_stream(struct http_connection *c, const char *type)
{
    char date[32];

    c->exchange.status = 200;
    write_date(date);
    evbuffer_add_printf(bufferevent_get_output(c->bev),
                        "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: %s\r\n" FOR_BROWSERS
                        "Connection: close\r\n\r\n",
                        date, type);
    warren_count(c->server->series.requests[status_index(200)], 1);
}

/* {"error": WHY}, and the paths that there are with @routes. */
static void answer_error(struct http_connection *c, int status, const char *extra, const char *why,
                         const struct http_route *routes)
{
    struct json_writer json;
    struct buffer buffer;

    buffer_init(&buffer, ERROR_MAX);
    json_writer_init(&json, &buffer);
    json_writer_begin(&json, NULL, '{');
    json_writer_text(&json, "error", why);
    if (routes) {
        json_writer_begin(&json, "paths", '[');
        for (; routes->path; routes++)
            json_writer_text(&json, NULL, routes->path);
        json_writer_end(&json, ']');
    }
    json_writer_end(&json, '}');
    answer(c, status, extra, HTTP_TYPE_JSON, buffer_front(&buffer), buffer_len(&buffer));
    buffer_done(&buffer);
}

static struct http_connection *connection_of(struct http_exchange *exchange)
{
    return (struct http_connection *)((char *)exchange -
                                      offsetof(struct http_connection, exchange));
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

unsigned http_exchange_which(const struct http_exchange *exchange)
{
    return exchange->which;
}

void http_exchange_peer(struct http_exchange *exchange, char text[HTTP_ADDRESS_TEXT_MAX])
{
    struct http_address peer = {.len = sizeof peer.at};

    if (getpeername(bufferevent_getfd(connection_of(exchange)->bev), (struct sockaddr *)&peer.at,
                    &peer.len) == 0)
        http_address_text(&peer, text);
    else
        snprintf(text, HTTP_ADDRESS_TEXT_MAX, "somebody who is gone");
}

void http_answer(struct http_exchange *exchange, int status, const char *type, const void *body,
                 size_t len)
{
    answer(connection_of(exchange), status, "", type, body, len);
}

void http_answer_error(struct http_exchange *exchange, int status, const char *why)
{
    answer_error(connection_of(exchange), status, "", why, NULL);
}

void http_refuse(struct http_connection *c, int status, const char *why)
{
    c->exchange.request.keep_alive = false;
    answer_error(c, status, "", why, NULL);
}

/* ---- routes ---- */

static bool is_method(const char *method, const struct http_route *route)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* The path is there, but not with this method: "Allow: GET, HEAD". */
static void refuse_method(struct http_connection *c, const char *path)
{
    const struct http_route *route = c->server->options.routes;
    char allow[128] = "Allow:";
    size_t len = strlen(allow);

    for (; route->path; route++)
        if (strcmp(route->path, path) == 0 && len < sizeof allow - 32)
            len +=
                (size_t)snprintf(allow + len, sizeof allow - len, "%s %.16s%s", len > 6 ? "," : "",
                                 route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
    snprintf(allow + len, sizeof allow - len, "\r\n");
    answer_error(c, 405, allow, "this path does not know that method", NULL);
}

/* Answers that nobody fetches must not fill the memory. What streams is bounded by itself. */
static bool is_overfull(const struct http_server *server)
{
    size_t unsent = 0;

    LIST_EACH(link, &server->connections) {
        const struct http_connection *c = list_entry(link, struct http_connection, link);

        unsent += c->state == HTTP_STREAMING ? 0 : http_connection_unsent(c);
    }
    return unsent > HTTP_UNSENT_MAX;
}

static bool is_known(const struct http_connection *c)
{
    return !c->server->has_token ||
           http_token_is_known(&c->server->token,
                               http_request_header(&c->exchange.request, "Authorization"));
}

/* @return why a page may not ask; NULL: it may */
static const char *why_not(const struct http_connection *c, enum http_access access)
{
    if (access < HTTP_PAGE)
        return NULL;
    if (!http_guard_origin(&c->exchange.request))
        return "the request comes from a page of another site";
    if (access == HTTP_CHANGE && !c->server->has_token)
        return "nothing can be changed here, nor a message be read, until admin.token_file is set";
    if (!c->server->has_token && !http_guard_host(&c->exchange.request))
        return "without admin.token_file this is answered only where the address is a number or "
               "localhost";
    return NULL;
}

static void call(struct http_connection *c, const struct http_route *route)
{
    const char *why = why_not(c, route->access);

    if (why) {
        answer_error(c, 403, "", why, NULL);
    } else if (route->access != HTTP_OPEN && !is_known(c)) {
        answer_error(c, 401, "WWW-Authenticate: Bearer realm=\"warren\"\r\n",
                     "the header \"Authorization: Bearer TOKEN\" is missing, or its token is wrong",
                     NULL);
    } else if (is_overfull(c->server)) {
        answer_error(c, 503, "Retry-After: 1\r\n", "too many answers wait to be fetched", NULL);
    } else {
        c->exchange.which = route->which;
        route->handle(&c->exchange, c->server->options.user);
        if (c->exchange.status == 0 && c->state != HTTP_PENDING)
            answer_error(c, 500, "", "there was no answer", NULL);
    }
}

void http_route(struct http_connection *c)
{
    const struct http_request *request = &c->exchange.request;
    const struct http_route *routes = c->server->options.routes;
    bool found = false;

    for (const struct http_route *route = routes; route->path; route++) {
        if (strcmp(route->path, request->path) != 0)
            continue;
        found = true;
        if (is_method(request->method, route)) {
            call(c, route);
            return;
        }
    }
    if (found)
        refuse_method(c, request->path);
    else
        answer_error(c, 404, "", "there is nothing at this path", routes);
}
