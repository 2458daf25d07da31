/* consumer_waiters.c - who waits for the end of a subscription, or until the broker has processed
 * what was sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/consumer/consumer_private.h"

/*
 * Ack frames that a channel passes on to a quorum queue at any rate, with some to spare: it has a
 * quorum_commands_soft_limit of 32.
 */
#define FRAMES_PASSED 24

/* Of a probe: whoever else subscribes comes first. */
#define LOWEST_PRIORITY (-1000000)

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
        list_splice(&waiters, &consumer->probes);
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
    forget_all(&consumer->probes);
}

/* A call of the newest of @list could not be sent. */
static void answer_newest(struct list *list)
{
    struct list *newest = list->prev;

    list_remove(newest);
    answer(newest, false);
}

/* ---- basic.qos, which the channel's process answers ---- */

static enum warren_status send_qos(struct consumer *consumer, uint16_t prefetch,
                                   channel_reply_fn *reply)
{
    amqp_basic_qos_t qos = {.prefetch_count = prefetch, .global = false};

    return consumer_sent(
        consumer, channel_call(consumer->channel, AMQP_BASIC_QOS_METHOD, &qos, reply, consumer));
}

enum warren_status consumer_send_qos(struct consumer *consumer, channel_reply_fn *reply)
{
    return send_qos(consumer, consumer->options.prefetch, reply);
}

static void on_qos_ok(void *user, void *decoded)
{
    struct consumer *consumer = user;

    (void)decoded;
    answer(list_pop(&consumer->barriers), true);
}

static void on_processed(void *user, void *decoded)
{
    struct consumer *consumer = user;

    (void)decoded;
    if (consumer->ending)
        channel_renew(consumer->channel);
}

enum warren_status consumer_end_channel(struct consumer *consumer)
{
    consumer->ending = true;
    return consumer_send_qos(consumer, on_processed);
}

void consumer_barrier(struct consumer *consumer, void (*done)(void *user, bool passed), void *user)
{
    struct consumer_waiter waiter = {.passed = done, .user = user};

    if (consumer->state == CONSUMER_AWAY || !consumer_wait(&consumer->barriers, &waiter))
        done(user, false);
    else if (consumer_send_qos(consumer, on_qos_ok) != WARREN_OK)
        answer_newest(&consumer->barriers);
}

/* ---- a probe: a second subscription, which the queue answers ---- */

static amqp_bytes_t tag_of(const struct consumer_waiter *waiter, char tag[CONSUMER_TAG_SIZE])
{
    snprintf(tag, CONSUMER_TAG_SIZE, CONSUMER_PROBE "%llu", (unsigned long long)waiter->number);
    return amqp_cstring_bytes(tag);
}

static void on_probe_gone(void *user, void *decoded)
{
    struct consumer *consumer = user;
    struct list *oldest = list_pop(&consumer->probes);

    (void)decoded;
    if (!oldest) /* not all of it could be sent, and the connection is being dropped */
        return;
    consumer->frames_passed = list_entry(oldest, struct consumer_waiter, link)->frames;
    answer(oldest, true);
}

static void on_probe_there(void *user, void *decoded)
{
    const amqp_basic_consume_ok_t *consume_ok = decoded;
    amqp_basic_cancel_t cancel = {.consumer_tag = consume_ok->consumer_tag};
    struct consumer *consumer = user;

    consumer_sent(consumer, channel_call(consumer->channel, AMQP_BASIC_CANCEL_METHOD, &cancel,
                                         on_probe_gone, consumer));
}

static enum warren_status send_probe(struct consumer *consumer,
                                     const struct consumer_waiter *waiter)
{
    amqp_table_entry_t priority = {
        .key = amqp_cstring_bytes("x-priority"),
        .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = LOWEST_PRIORITY}}};
    char tag[CONSUMER_TAG_SIZE];
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(consumer->queue),
        .consumer_tag = tag_of(waiter, tag),
        .arguments = {.num_entries = 1, .entries = &priority},
    };
    enum warren_status status = send_qos(consumer, 1, NULL);

    if (status == WARREN_OK)
        status = consumer_sent(consumer, channel_call(consumer->channel, AMQP_BASIC_CONSUME_METHOD,
                                                      &consume, on_probe_there, consumer));
    if (status == WARREN_OK)
        status = consumer_send_qos(consumer, NULL);
    return status;
}

static bool all_passed_on(const struct consumer *consumer)
{
    return consumer->frames - consumer->frames_passed < FRAMES_PASSED;
}

void consumer_queue_barrier(struct consumer *consumer, void (*done)(void *user, bool passed),
                            void *user)
{
    struct consumer_waiter waiter = {.passed = done,
                                     .user = user,
                                     .frames = consumer->frames,
                                     .number = ++consumer->probe_number};

    if (all_passed_on(consumer))
        consumer_barrier(consumer, done, user);
    else if (consumer->state == CONSUMER_AWAY || !consumer_wait(&consumer->probes, &waiter))
        done(user, false);
    else if (send_probe(consumer, &waiter) != WARREN_OK)
        answer_newest(&consumer->probes);
}
