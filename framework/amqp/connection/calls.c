/* calls.c - see calls.h. */
#include "amqp/connection/calls.h"

#include <stdlib.h>

#include "amqp/wire/rabbitmq_c.h"

void calls_init(struct calls *calls)
{
    list_init(&calls->waiting);
    calls->count = 0;
}

void calls_done(struct calls *calls)
{
    struct list *link;

    while ((link = list_pop(&calls->waiting)))
        free(list_entry(link, struct call, link));
    calls->count = 0;
}

enum warren_status calls_push(struct calls *calls, const struct call *call)
{
    struct call *copy;

    if (calls->count >= CALLS_MAX)
        return WARREN_EFULL;
    copy = malloc(sizeof *copy);
    if (!copy)
        return WARREN_ENOMEM;
    *copy = *call;
    list_push(&calls->waiting, &copy->link);
    calls->count++;
    return WARREN_OK;
}

void calls_unpush(struct calls *calls)
{
    struct list *newest = calls->waiting.prev;

    list_remove(newest);
    calls->count--;
    free(list_entry(newest, struct call, link));
}

struct call *calls_oldest(struct calls *calls)
{
    return list_empty(&calls->waiting) ? NULL : list_entry(calls->waiting.next, struct call, link);
}

/* The reply's number follows the request's, but for exchange.unbind-ok (RabbitMQ's extension). */
static uint32_t reply_to(uint32_t id)
{
    return id == AMQP_EXCHANGE_UNBIND_METHOD ? AMQP_EXCHANGE_UNBIND_OK_METHOD : id + 1;
}

bool calls_answer(struct calls *calls, uint32_t id, struct call *ret_call)
{
    LIST_EACH(link, &calls->waiting) {
        struct call *call = list_entry(link, struct call, link);

        if (reply_to(call->id) != id)
            continue;
        list_remove(link);
        calls->count--;
        *ret_call = *call;
        free(call);
        return true;
    }
    return false;
}
