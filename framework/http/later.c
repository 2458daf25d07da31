/* later.c - answers that come from another thread: to the loop as a task, and to the peer if it is
 * still there.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>

#include "http/server_private.h"

/* The handler's answer is as any other, but that the peer was listened to meanwhile. */
static void arrive(void *arg)
{
    struct http_later *later = arg;
    struct http_connection *c = later->connection;

    if (c) {
        c->later = NULL;
        if (later->body && later->type)
            http_answer(&c->exchange, later->status, later->type, later->body, later->len);
        else
            http_answer_error(&c->exchange, later->body ? later->status : 500,
                              later->body ? later->body : "there is no memory for the answer");
    }
    list_remove(&later->link);
    free(later->body);
    free(later);
}

struct http_later *http_answer_later(struct http_exchange *exchange, int64_t most_ms)
{
    struct http_connection *c =
        (struct http_connection *)((char *)exchange - offsetof(struct http_connection, exchange));
    struct http_later *later = calloc(1, sizeof *later);

    if (!later)
        return NULL;
    later->server = c->server;
    later->connection = c;
    loop_task_init(&later->arrived, arrive, later);
    list_push(&c->server->laters, &later->link);
    c->later = later;
    c->state = HTTP_PENDING;
    c->until_ms = loop_now_ms(c->server->loop) + most_ms;
    return later;
}

void http_later_answer(struct http_later *later, int status, const char *type, char *body,
                       size_t len)
{
    later->status = status;
    later->type = type;
    later->body = body;
    later->len = len;
    loop_post(later->server->loop, &later->arrived);
}

void http_later_error(struct http_later *later, int status, const char *why)
{
    http_later_answer(later, status, NULL, strdup(why), 0);
}

bool http_later_is_gone(const struct http_later *later)
{
    return atomic_load(&later->is_gone);
}

void http_later_forget(struct http_later *later)
{
    if (!later)
        return;
    later->connection = NULL;
    atomic_store(&later->is_gone, true);
}

void http_laters_free(struct http_server *server)
{
    LIST_EACH(link, &server->laters) {
        struct http_later *later = list_entry(link, struct http_later, link);

        free(later->body);
        free(later);
    }
}
