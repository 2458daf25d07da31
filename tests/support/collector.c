/* collector.c - see collector.h. A thread listens, and each connection has one. */
#include "support/collector.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/socket.h"

#define CONNECTIONS_MAX 64
#define REQUEST_MAX     ((size_t)16 << 20)
#define HUGE_SIZE       ((size_t)10 << 20)
#define POLL_MS         20

struct collector {
    int listener;
    char url[64];
    pthread_t thread;
    pthread_t connections[CONNECTIONS_MAX];
    size_t connection_count;
    atomic_bool ending;
    _Atomic int mode;
    _Atomic int status;

    pthread_mutex_t lock; /* of all below */
    json_t *spans;        /* an array */
    json_t *resource;     /* of the last request; NULL */
    char *head;           /* the same */
    int requests;
    int malformed;
};

struct connection {
    struct collector *collector;
    int fd;
};

/* ---- what came ---- */

static json_t *first(const json_t *object, const char *member)
{
    return json_array_get(json_object_get(object, member), 0);
}

static size_t take(struct collector *c, enum collector_mode mode, const char *body, size_t len)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    const json_t *resource = first(root, "resourceSpans");
    const json_t *spans = json_object_get(first(resource, "scopeSpans"), "spans");
    size_t count = json_array_size(spans);

    if (count == 0)
        c->malformed++;
    json_decref(c->resource);
    c->resource = json_incref(json_object_get(resource, "resource"));
    if (mode == COLLECTOR_TAKES)
        json_array_extend(c->spans, (json_t *)(uintptr_t)spans);
    json_decref(root);
    return count;
}

static void send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

static void answer(struct collector *c, enum collector_mode mode, int fd, size_t count)
{
    static const char big[] = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n";
    char body[128] = "{}";
    char text[512];
    int status = 200;

    switch (mode) {
    case COLLECTOR_HUGE:
        send_all(fd, big, strlen(big));
        for (size_t sent = 0; sent < HUGE_SIZE; sent += sizeof text)
            send_all(fd, memset(text, 'x', sizeof text), sizeof text);
        return;
    case COLLECTOR_REJECTS:
        snprintf(body, sizeof body, "{\"partialSuccess\":{\"rejectedSpans\":\"%zu\"}}", count);
        break;
    case COLLECTOR_ANSWERS:
        status = atomic_load(&c->status);
        snprintf(body, sizeof body, "not today");
        break;
    default:
        break;
    }
    snprintf(text, sizeof text, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    send_all(fd, text, strlen(text));
}

/* ---- requests ---- */

/* Bytes of the request that begins @buffer; 0: not all of it is there. */
static size_t request_size(const char *buffer)
{
    const char *end = strstr(buffer, "\r\n\r\n");
    const char *length = strcasestr(buffer, "\r\nContent-Length: ");

    if (!end)
        return 0;
    return (size_t)(end + 4 - buffer) +
           (length && length < end ? strtoul(length + 18, NULL, 10) : 0);
}

/* @return false: the connection is over */
static bool read_more(struct collector *c, int fd, char *buffer, size_t *len)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    ssize_t got;

    while (poll(&poller, 1, POLL_MS) == 0)
        if (atomic_load(&c->ending))
            return false;
    got = recv(fd, buffer + *len, REQUEST_MAX - *len - 1, 0);
    if (got <= 0)
        return false;
    *len += (size_t)got;
    buffer[*len] = '\0';
    return true;
}

/* By the mode of now, whatever it is changed to meanwhile. @return false: the connection is over */
static bool serve_one(struct collector *c, int fd, char *request, size_t size)
{
    enum collector_mode mode = (enum collector_mode)atomic_load(&c->mode);
    char *body = strstr(request, "\r\n\r\n") + 4;
    size_t count;

    pthread_mutex_lock(&c->lock);
    c->requests++;
    free(c->head);
    c->head = strndup(request, (size_t)(body - request));
    count = take(c, mode, body, size - (size_t)(body - request));
    pthread_mutex_unlock(&c->lock);
    if (mode != COLLECTOR_HANGS) {
        answer(c, mode, fd, count);
        return true;
    }
    while (atomic_load(&c->mode) == COLLECTOR_HANGS && !atomic_load(&c->ending))
        usleep(POLL_MS * 1000);
    return false;
}

static void *serve(void *arg)
{
    struct connection *connection = arg;
    struct collector *c = connection->collector;
    char *buffer = calloc(1, REQUEST_MAX);
    size_t len = 0;

    while (buffer && read_more(c, connection->fd, buffer, &len)) {
        size_t size = request_size(buffer);

        if (size == 0 || size > len)
            continue;
        if (strcasestr(buffer, "Expect: 100-continue")) /* not asked for by what is tested */
            abort();
        if (!serve_one(c, connection->fd, buffer, size))
            break;
        len = 0;
        buffer[0] = '\0';
    }
    free(buffer);
    close(connection->fd);
    free(connection);
    return NULL;
}

static void *listen_main(void *arg)
{
    struct collector *c = arg;
    struct pollfd poller = {.fd = c->listener, .events = POLLIN};

    while (!atomic_load(&c->ending)) {
        struct connection *connection;

        if (poll(&poller, 1, POLL_MS) <= 0)
            continue;
        connection = malloc(sizeof *connection);
        if (!connection || c->connection_count == CONNECTIONS_MAX)
            abort();
        *connection = (struct connection){c, accept(c->listener, NULL, NULL)};
        if (pthread_create(&c->connections[c->connection_count++], NULL, serve, connection) != 0)
            abort();
    }
    return NULL;
}

/* ---- life ---- */

struct collector *collector_new(void)
{
    struct collector *c = calloc(1, sizeof *c);
    uint16_t port;

    if (!c)
        abort();
    c->listener = socket_listen(&port);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%u", port);
    pthread_mutex_init(&c->lock, NULL);
    c->spans = json_array();
    if (pthread_create(&c->thread, NULL, listen_main, c) != 0)
        abort();
    return c;
}

void collector_go_away(struct collector *c)
{
    if (atomic_exchange(&c->ending, true))
        return;
    pthread_join(c->thread, NULL);
    for (size_t i = 0; i < c->connection_count; i++)
        pthread_join(c->connections[i], NULL);
    close(c->listener);
}

void collector_free(struct collector *c)
{
    if (!c)
        return;
    collector_go_away(c);
    json_decref(c->spans);
    json_decref(c->resource);
    free(c->head);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

const char *collector_url(const struct collector *c)
{
    return c->url;
}

void collector_set(struct collector *c, enum collector_mode mode, int status)
{
    atomic_store(&c->status, status);
    atomic_store(&c->mode, mode);
}

/* ---- looking ---- */

static int read_int(struct collector *c, const int *number)
{
    int value;

    pthread_mutex_lock(&c->lock);
    value = *number;
    pthread_mutex_unlock(&c->lock);
    return value;
}

int collector_requests(struct collector *c)
{
    return read_int(c, &c->requests);
}

int collector_malformed(struct collector *c)
{
    return read_int(c, &c->malformed);
}

bool collector_saw(struct collector *c, const char *part)
{
    bool saw;

    pthread_mutex_lock(&c->lock);
    saw = c->head && strstr(c->head, part);
    pthread_mutex_unlock(&c->lock);
    return saw;
}

size_t collector_count(struct collector *c)
{
    size_t count;

    pthread_mutex_lock(&c->lock);
    count = json_array_size(c->spans);
    pthread_mutex_unlock(&c->lock);
    return count;
}

/* With @ret_span the one at @index is written there. @return how many there are */
static size_t look(struct collector *c, const char *name, size_t index, const json_t **ret_span)
{
    size_t found = 0;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < json_array_size(c->spans); i++) {
        const json_t *span = json_array_get(c->spans, i);

        if (strcmp(span_member(span, "name"), name) != 0)
            continue;
        if (ret_span && found == index)
            *ret_span = span;
        found++;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

size_t collector_named(struct collector *c, const char *name)
{
    return look(c, name, 0, NULL);
}

const json_t *collector_span(struct collector *c, const char *name, size_t index)
{
    const json_t *span = NULL;

    look(c, name, index, &span);
    return span;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

const char *span_member(const json_t *span, const char *member)
{
    return or_empty(json_string_value(json_object_get(span, member)));
}

const char *span_attribute(const json_t *span, const char *key)
{
    const json_t *attributes = json_object_get(span, "attributes");

    for (size_t i = 0; i < json_array_size(attributes); i++) {
        const json_t *attribute = json_array_get(attributes, i);
        const json_t *value = json_object_get(attribute, "value");

        if (strcmp(span_member(attribute, "key"), key) != 0)
            continue;
        return json_object_get(value, "intValue") ? span_member(value, "intValue")
                                                  : span_member(value, "stringValue");
    }
    return "";
}

const char *collector_resource(struct collector *c, const char *key)
{
    const char *value;

    pthread_mutex_lock(&c->lock);
    value = span_attribute(c->resource, key);
    pthread_mutex_unlock(&c->lock);
    return value;
}
