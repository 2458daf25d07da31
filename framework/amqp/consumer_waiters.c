/* consumer_waiters.c - who waits for the end of a subscription, or until the broker has processed
 * what was sent.
 */
#include <stdlib.h>
#include <string.h>

#include "amqp/consumer_private.h"

/* See consumer_queue_barrier(). */
#define QUEUE_ROUNDS 2

bool consumer_wait(struct list *list, const struct consumer_waiter *waiter)
{
    struct consumer_waiter *kept = malloc(sizeof *kept);

    if (!kept)
        return false;
    *kept = *waiter;
    list_push(list, &kept->link);
    return true;
}

static void answer(struct list *link, bool passed)
{
    struct consumer_waiter *waiter = list_entry(link, struct consumer_waiter, link);
    struct consumer_waiter answered = *waiter;

    free(waiter);
    if (answered.paused)
        answered.paused(answered.user);
    else
        answered.passed(answered.user, passed);
}

void consumer_answer(struct consumer *consumer, bool barriers_too)
{
    struct list waiters;
    struct list *link;

    list_init(&waiters);
    if (barriers_too) {
        list_splice(&waiters, &consumer->barriers);
        list_splice(&waiters, &consumer->gets);
    }
    list_splice(&waiters, &consumer->pauses);
    while ((link = list_pop(&waiters)))
        answer(link, false);
}

static void forget_all(struct list *list)
{
    struct list *link;

    while ((link = list_pop(list)))
        free(list_entry(link, struct consumer_waiter, link));
}

void consumer_forget_waiters(struct consumer *consumer)
{
    forget_all(&consumer->pauses);
    forget_all(&consumer->barriers);
    forget_all(&consumer->gets);
}

/* A call of the newest of @list could not be sent. */
static void answer_newest(struct list *list)
{
    struct list *newest = list->prev;

    list_remove(newest);
    answer(newest, false);
}

/* ---- basic.qos, which the channel's process answers ---- */

enum warren_status consumer_send_qos(struct consumer *consumer, channel_reply_fn *reply)
{
    amqp_basic_qos_t qos = {.prefetch_count = consumer->prefetch, .global = false};

    return consumer_sent(
        consumer, channel_call(consumer->channel, AMQP_BASIC_QOS_METHOD, &qos, reply, consumer));
}

static void on_qos_ok(void *user, uint32_t id, void *decoded)
{
    struct consumer *consumer = user;

    (void)id;
    (void)decoded;
    answer(list_pop(&consumer->barriers), true);
}

void consumer_barrier(struct consumer *consumer, void (*done)(void *user, bool passed), void *user)
{
    struct consumer_waiter waiter = {.passed = done, .user = user};

    if (consumer->state == CONSUMER_AWAY || !consumer_wait(&consumer->barriers, &waiter))
        done(user, false);
    else if (consumer_send_qos(consumer, on_qos_ok) != WARREN_OK)
        answer_newest(&consumer->barriers);
}

/* ---- basic.get, which the queue answers ---- */

static void on_get_answered(void *user, uint32_t id, void *decoded);

static enum warren_status send_get(struct consumer *consumer)
{
    amqp_basic_get_t get = {
        .queue = {strlen(consumer->queue), consumer->queue},
    };

    return consumer_sent(consumer, channel_call(consumer->channel, AMQP_BASIC_GET_METHOD, &get,
                                                on_get_answered, consumer));
}

static void on_get_answered(void *user, uint32_t id, void *decoded)
{
    struct consumer *consumer = user;
    struct list *oldest = list_pop(&consumer->gets);
    struct consumer_waiter *waiter = list_entry(oldest, struct consumer_waiter, link);

    if (id == AMQP_BASIC_GET_OK_METHOD)
        consumer_on_get_ok(consumer, decoded);
    if (--waiter->rounds == 0) {
        answer(oldest, true);
        return;
    }
    list_push(&consumer->gets, oldest);
    if (send_get(consumer) != WARREN_OK)
        answer_newest(&consumer->gets);
}

void consumer_queue_barrier(struct consumer *consumer, void (*done)(void *user, bool passed),
                            void *user)
{
    struct consumer_waiter waiter = {.passed = done, .user = user, .rounds = QUEUE_ROUNDS};

    if (consumer->state == CONSUMER_AWAY || !consumer_wait(&consumer->gets, &waiter))
        done(user, false);
    else if (send_get(consumer) != WARREN_OK)
        answer_newest(&consumer->gets);
}
