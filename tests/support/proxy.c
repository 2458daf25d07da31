#include "support/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/socket.h"
#include "support/wait.h"

#define LINKS_MAX 128
#define PIPE_SIZE 65536
#define POLL_MS   200

/* One direction of one connection: what was read from `from` and is not yet written to `to`. */
struct pipe {
    int from;
    int to;
    size_t start;
    size_t end;
    int64_t release_ms; /* not written before */
    bool ended;         /* `from` sent its FIN */
    bool told;          /* and `to` was told */
    char bytes[PIPE_SIZE];
};

struct link {
    struct pipe pipes[2]; /* by direction */
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    int listener;
    int wake;
    uint16_t port;
    uint16_t broker_port;
    char *uri;
    struct proxy_rule rules[2];
    bool black_hole;
    bool refuse;
    bool stop;
    int accepted;
    uint64_t passed[2];
    struct link *links[LINKS_MAX];
    int link_count;
};

static void end_link(struct proxy *proxy, int index, enum proxy_cut how)
{
    struct link *link = proxy->links[index];

    for (int i = 0; i < 2; i++) {
        if (how == PROXY_RST)
            socket_reset(link->pipes[i].from);
        else
            close(link->pipes[i].from);
    }
    free(link);
    proxy->links[index] = proxy->links[--proxy->link_count];
}

static void end_all(struct proxy *proxy, enum proxy_cut how)
{
    while (proxy->link_count > 0)
        end_link(proxy, proxy->link_count - 1, how);
}

static void accept_one(struct proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;
    int broker;
    struct link *link;

    if (client < 0)
        return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    proxy->accepted++;
    broker =
        proxy->refuse || proxy->link_count == LINKS_MAX ? -1 : socket_connect(proxy->broker_port);
    if (broker < 0) {
        socket_reset(client);
        return;
    }
    link = calloc(1, sizeof *link);
    if (!link)
        abort();
    link->pipes[PROXY_TO_BROKER].from = link->pipes[PROXY_TO_CLIENT].to = client;
    link->pipes[PROXY_TO_CLIENT].from = link->pipes[PROXY_TO_BROKER].to = broker;
    proxy->links[proxy->link_count++] = link;
}

static bool fill(struct pipe *pipe, const struct proxy_rule *rule)
{
    ssize_t length;

    if (pipe->ended || pipe->end > 0)
        return true;
    length = recv(pipe->from, pipe->bytes, sizeof pipe->bytes, MSG_DONTWAIT);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    pipe->ended = length == 0;
    pipe->end = (size_t)length;
    pipe->release_ms = now_ms() + rule->delay_ms;
    return true;
}

/* How much of what waits may be written now. */
static size_t allowance(const struct pipe *pipe, const struct proxy_rule *rule)
{
    size_t length = pipe->end - pipe->start;

    if (rule->slice && length > rule->slice)
        length = rule->slice;
    if (rule->bytes_per_s && length > rule->bytes_per_s / 50 + 1)
        length = rule->bytes_per_s / 50 + 1;
    if (rule->cut_after && length > rule->cut_after)
        length = rule->cut_after;
    return length;
}

static bool drain(struct proxy *proxy, struct pipe *pipe, enum proxy_direction direction)
{
    struct proxy_rule *rule = &proxy->rules[direction];
    ssize_t length;

    if (pipe->end > 0 && now_ms() >= pipe->release_ms) {
        length = send(pipe->to, pipe->bytes + pipe->start, allowance(pipe, rule),
                      MSG_DONTWAIT | MSG_NOSIGNAL);
        if (length < 0)
            return errno == EAGAIN || errno == EINTR;
        pipe->start += (size_t)length;
        proxy->passed[direction] += (uint64_t)length;
        if (rule->bytes_per_s)
            pipe->release_ms = now_ms() + (int64_t)length * 1000 / rule->bytes_per_s;
        if (rule->cut_after && (rule->cut_after -= (uint64_t)length) == 0)
            return false;
        if (pipe->start == pipe->end)
            pipe->start = pipe->end = 0;
    }
    if (pipe->ended && pipe->end == 0 && !pipe->told) {
        shutdown(pipe->to, SHUT_WR);
        pipe->told = true;
    }
    return true;
}

/* False: the link is over, and reset both ways. */
static bool move(struct proxy *proxy, struct link *link)
{
    for (int i = 0; i < 2; i++) {
        if (!fill(&link->pipes[i], &proxy->rules[i]) ||
            !drain(proxy, &link->pipes[i], (enum proxy_direction)i))
            return false;
    }
    return true;
}

static void move_all(struct proxy *proxy)
{
    for (int i = proxy->link_count - 1; i >= 0; i--) {
        struct link *link = proxy->links[i];

        if (!move(proxy, link))
            end_link(proxy, i, PROXY_RST);
        else if (link->pipes[0].told && link->pipes[1].told)
            end_link(proxy, i, PROXY_FIN);
    }
}

/* What to wait for: reads where the pipe is empty, writes where it is not and nothing delays it. */
static nfds_t gather(struct proxy *proxy, struct pollfd *fds, int *ret_timeout)
{
    nfds_t count = 2;
    int64_t now = now_ms();

    *ret_timeout = POLL_MS;
    fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
    for (int i = 0; i < 2 * proxy->link_count && !proxy->black_hole; i++) {
        const struct pipe *pipe = &proxy->links[i / 2]->pipes[i % 2];

        if (pipe->end == 0 && !pipe->ended)
            fds[count++] = (struct pollfd){.fd = pipe->from, .events = POLLIN};
        else if (pipe->end > 0 && now >= pipe->release_ms)
            fds[count++] = (struct pollfd){.fd = pipe->to, .events = POLLOUT};
        else if (pipe->end > 0 && pipe->release_ms - now < *ret_timeout)
            *ret_timeout = (int)(pipe->release_ms - now);
    }
    return count;
}

static void *run(void *user)
{
    struct proxy *proxy = user;
    struct pollfd fds[2 + 2 * LINKS_MAX];
    int timeout;
    uint64_t ignored;

    pthread_mutex_lock(&proxy->lock);
    while (!proxy->stop) {
        nfds_t count = gather(proxy, fds, &timeout);

        pthread_mutex_unlock(&proxy->lock);
        poll(fds, count, timeout);
        pthread_mutex_lock(&proxy->lock);
        if (fds[1].revents && read(proxy->wake, &ignored, sizeof ignored) < 0)
            abort();
        if (fds[0].revents)
            accept_one(proxy);
        if (!proxy->black_hole)
            move_all(proxy);
    }
    end_all(proxy, PROXY_RST);
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

struct proxy *proxy_new(uint16_t port)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (!proxy)
        abort();
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->listener = socket_listen(&proxy->port);
    proxy->wake = eventfd(0, EFD_CLOEXEC);
    proxy->broker_port = port;
    proxy->uri = text("amqp://guest:guest@127.0.0.1:%u/", proxy->port);
    if (proxy->wake < 0 || pthread_create(&proxy->thread, NULL, run, proxy) != 0)
        abort();
    return proxy;
}

static void lock(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
}

static void unlock(struct proxy *proxy)
{
    uint64_t one = 1;

    if (write(proxy->wake, &one, sizeof one) < 0)
        abort();
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    lock(proxy);
    proxy->stop = true;
    unlock(proxy);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    close(proxy->wake);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy->uri);
    free(proxy);
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

const char *proxy_uri(const struct proxy *proxy)
{
    return proxy->uri;
}

void proxy_set(struct proxy *proxy, enum proxy_direction direction, const struct proxy_rule *rule)
{
    lock(proxy);
    proxy->rules[direction] = *rule;
    unlock(proxy);
}

int proxy_cut(struct proxy *proxy, enum proxy_cut how)
{
    int count;

    lock(proxy);
    count = proxy->link_count;
    end_all(proxy, how);
    unlock(proxy);
    return count;
}

void proxy_black_hole(struct proxy *proxy, bool on)
{
    lock(proxy);
    proxy->black_hole = on;
    unlock(proxy);
}

void proxy_refuse(struct proxy *proxy, bool on)
{
    lock(proxy);
    proxy->refuse = on;
    unlock(proxy);
}

int proxy_accepted(struct proxy *proxy)
{
    int count;

    lock(proxy);
    count = proxy->accepted;
    unlock(proxy);
    return count;
}

int proxy_open(struct proxy *proxy)
{
    int count;

    lock(proxy);
    count = proxy->link_count;
    unlock(proxy);
    return count;
}

uint64_t proxy_passed(struct proxy *proxy, enum proxy_direction direction)
{
    uint64_t bytes;

    lock(proxy);
    bytes = proxy->passed[direction];
    unlock(proxy);
    return bytes;
}
