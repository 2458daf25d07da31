/* consumer.c - the subscription: asked for, cancelled, lost and restored.
 * What comes on it: consumer_deliveries.c; who waits for it: consumer_waiters.c.
 */
#include "amqp/consumer/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/consumer/consumer_private.h"
#include "amqp/wire/properties.h"
#include "base/log.h"

/* Ceilings of the delays before a subscription that broke is tried again; see backoff.h. */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define QUEUE_GONE   "the broker cancelled the subscription: its queue was deleted, or moved"
#define NOT_FOUND    404
/* A subscription that lasted this long begins again at the shortest delay. */
#define STABLE_MS 60000

static void enter(struct consumer *consumer, enum consumer_state next)
{
    static const char *const names[] = {"away", "idle", "asking", "consuming", "cancelling"};

    log_debug("queue %s: %s -> %s", consumer->queue, names[consumer->state], names[next]);
    consumer->state = next;
}

static void update(struct consumer *consumer);

/* ---- what the broker answers ---- */

static void on_consume_ok(void *user, void *decoded)
{
    struct consumer *consumer = user;

    (void)decoded;
    if (consumer->state != CONSUMER_ASKING) /* the broker cancelled it before this answer */
        return;
    enter(consumer, CONSUMER_CONSUMING);
    consumer->consuming_since_ms = consumer_now_ms(consumer);
    consumer->reason[0] = '\0';
    counter_add(&consumer->recoveries, consumer->lost);
    consumer->lost = false;
    update(consumer); /* somebody may have asked for a pause meanwhile */
    if (consumer->state != CONSUMER_CONSUMING)
        return;
    if (!consumer->announced && !consumer->stays) {
        consumer->announced = true;
        consumer->events.consuming(consumer->user);
    }
    consumer_answer(consumer, false); /* pauses that ended before they began */
}

static void on_cancel_ok(void *user, void *decoded)
{
    struct consumer *consumer = user;

    (void)decoded;
    if (consumer->state == CONSUMER_CANCELLING)
        enter(consumer, CONSUMER_IDLE);
    update(consumer);
    consumer_answer(consumer, false);
}

/* ---- subscribe and cancel ---- */

static void subscribe(struct consumer *consumer)
{
    amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(consumer->queue)};

    if (consumer->options.is_stream)
        consumer_stream_begin(consumer);
    consume.arguments = consumer->arguments;
    snprintf(consumer->tag, sizeof consumer->tag, CONSUMER_PREFIX "%016llx",
             (unsigned long long)random_u64(&consumer->random));
    consume.consumer_tag = amqp_cstring_bytes(consumer->tag);
    if (consumer_sent(consumer, channel_call(consumer->channel, AMQP_BASIC_CONSUME_METHOD, &consume,
                                             on_consume_ok, consumer)) == WARREN_OK)
        enter(consumer, CONSUMER_ASKING);
}

static void cancel(struct consumer *consumer)
{
    amqp_basic_cancel_t method = {.consumer_tag = amqp_cstring_bytes(consumer->tag)};

    if (consumer_sent(consumer, channel_call(consumer->channel, AMQP_BASIC_CANCEL_METHOD, &method,
                                             on_cancel_ok, consumer)) == WARREN_OK)
        enter(consumer, CONSUMER_CANCELLING);
}

/*
 * A cancel waits for consume-ok: one that overtakes it crashes the channel's process inside
 * RabbitMQ (seen in 3.10.8: badkey in rabbit_channel:consumer_monitor).
 */
static void update(struct consumer *consumer)
{
    bool wanted = consumer->started && !consumer->paused && !consumer->full && !consumer->asking;

    if (consumer->state == CONSUMER_IDLE || consumer->state == CONSUMER_AWAY)
        consumer->outdated = false;
    wanted = wanted && !consumer->outdated;
    if (consumer->state == CONSUMER_IDLE && wanted && !loop_timer_armed(&consumer->retry))
        subscribe(consumer);
    else if (consumer->state == CONSUMER_CONSUMING && !wanted && !consumer->stays)
        cancel(consumer);
}

static void on_content_end(void *user)
{
    if (consumer_complete(user))
        update(user);
}

static void on_retry(void *arg)
{
    update(arg);
}

/* ---- interruptions ---- */

/* Try again later; report it to the owner, but the same words only once since the last consume-ok.
 */
static void interrupted(struct consumer *consumer, const char *reason)
{
    uint32_t retry_ms;

    if (consumer->consuming_since_ms > 0 &&
        consumer_now_ms(consumer) - consumer->consuming_since_ms >= STABLE_MS)
        backoff_reset(&consumer->backoff);
    consumer->consuming_since_ms = 0;
    consumer->announced = false;
    consumer->lost = true;
    retry_ms = backoff_next_ms(&consumer->backoff);
    loop_timer_arm_ms(&consumer->retry, retry_ms);
    if (strcmp(reason, consumer->reason) == 0)
        return;
    snprintf(consumer->reason, sizeof consumer->reason, "%s", reason);
    consumer->events.interrupted(consumer->user, reason, retry_ms);
}

/*
 * RabbitMQ 4.3 cancels a consumer of a quorum queue that does not settle a message in time, takes
 * back what was late, and keeps the consumer: whatever is settled on this channel revives it. So a
 * new subscription belongs on a new channel. (Versions before it close the channel themselves.)
 */
static bool may_be_late(const struct consumer *consumer)
{
    return !consumer->options.is_stream && ack_batcher_outstanding(&consumer->batcher) > 0 &&
           connection_server_at_least(consumer->connection, 4, 3);
}

static void on_queue_there(void *user, void *decoded)
{
    struct consumer *consumer = user;

    (void)decoded;
    consumer->asking = false;
    channel_renew(consumer->channel);
    interrupted(consumer, "the broker cancelled the subscription, whose queue is there: a message "
                          "was not settled within its consumer time-out");
}

/* A queue that is gone costs the channel, which is no longer needed then.
 * @return false: it cannot be sent */
static bool ask_for_queue(struct consumer *consumer)
{
    amqp_queue_declare_t declare = {.queue = amqp_cstring_bytes(consumer->queue), .passive = true};

    consumer->asking =
        consumer_sent(consumer, channel_call(consumer->channel, AMQP_QUEUE_DECLARE_METHOD, &declare,
                                             on_queue_there, consumer)) == WARREN_OK;
    return consumer->asking;
}

static void on_broker_cancel(struct consumer *consumer, const amqp_basic_cancel_t *method)
{
    amqp_basic_cancel_ok_t cancel_ok = {.consumer_tag = method->consumer_tag};
    bool ours = method->consumer_tag.len == strlen(consumer->tag) &&
                memcmp(method->consumer_tag.bytes, consumer->tag, method->consumer_tag.len) == 0;

    if (!method->nowait)
        consumer_sent(consumer,
                      channel_send(consumer->channel, AMQP_BASIC_CANCEL_OK_METHOD, &cancel_ok));
    /* While we are cancelling, cancel-ok follows all the same. */
    if (!ours || (consumer->state != CONSUMER_ASKING && consumer->state != CONSUMER_CONSUMING))
        return;
    enter(consumer, CONSUMER_IDLE);
    if (!may_be_late(consumer) || !ask_for_queue(consumer))
        interrupted(consumer, QUEUE_GONE);
}

/* ---- the channel ---- */

static void on_open(void *user)
{
    struct consumer *consumer = user;
    uint32_t generation = channel_generation(consumer->channel);

    ack_batcher_restart(&consumer->batcher, generation);
    stream_offsets_restart(&consumer->offsets);
    consumer->frames_passed = consumer->frames;
    atomic_store(&consumer->generation, generation);
    enter(consumer, CONSUMER_IDLE);
    consumer_send_qos(consumer, NULL);
    update(consumer); /* basic.consume leaves with the qos, in one write */
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct consumer *consumer = user;
    bool subscribed = consumer->state != CONSUMER_IDLE || consumer->asking;
    bool gone = consumer->asking && loss->code == NOT_FOUND;
    char reason[CONSUMER_REASON_MAX];

    /* The next subscription has a delay of its own; what else is sent on a channel has none. */
    if (subscribed && (loss->unanswered || loss->code != 0))
        channel_reopen_now(consumer->channel);
    atomic_store(&consumer->generation, 0);
    ack_batcher_restart(&consumer->batcher, 0);
    consumer_drop_incoming(consumer);
    enter(consumer, CONSUMER_AWAY);
    consumer->announced = false;
    consumer->asking = consumer->ending = false;
    if (loss->renewed) {
        log_debug("queue %s: on another channel", consumer->queue);
    } else if (loss->unanswered) {
        interrupted(consumer, loss->text);
    } else if (gone) {
        interrupted(consumer, QUEUE_GONE);
    } else if (loss->code != 0) {
        snprintf(reason, sizeof reason, "the broker closed the channel: %u %s", loss->code,
                 loss->text);
        interrupted(consumer, reason);
    } else { /* the connection has a backoff of its own */
        loop_timer_disarm(&consumer->retry);
        backoff_reset(&consumer->backoff);
        consumer->lost |= consumer->consuming_since_ms > 0;
        consumer->consuming_since_ms = 0;
    }
    consumer_answer(consumer, true);
}

static void on_method(void *user, uint32_t id, void *decoded)
{
    if (id == AMQP_BASIC_DELIVER_METHOD)
        consumer_on_deliver(user, decoded);
    else if (id == AMQP_BASIC_CANCEL_METHOD)
        on_broker_cancel(user, decoded);
}

/* ---- public ---- */

/* There and back: so that every string ends up in our own arena. */
static enum warren_status copy_arguments(struct consumer *consumer,
                                         const struct warren_table *arguments)
{
    struct warren_table copy;
    amqp_table_t borrowed;
    enum warren_status status;

    if (!arguments || arguments->count == 0)
        return WARREN_OK;
    status = table_to_amqp(arguments, NULL, &consumer->arena, &borrowed, NULL);
    if (status == WARREN_OK)
        status = table_from_amqp(&borrowed, &consumer->arena, &copy);
    if (status == WARREN_OK)
        status = table_to_amqp(&copy, NULL, &consumer->arena, &consumer->arguments, NULL);
    return status;
}

static enum warren_status init(struct consumer *consumer, const struct consumer_options *options)
{
    static const struct channel_events events = {on_open, on_lost, on_method, consumer_on_content,
                                                 on_content_end};
    struct ack_sink sink = consumer_ack_sink;
    enum warren_status status;

    consumer->queue = strdup(options->queue);
    if (!consumer->queue)
        return WARREN_ENOMEM;
    sink.user = consumer;
    status = ack_batcher_init(&consumer->batcher, &sink);
    if (status == WARREN_OK)
        status = copy_arguments(consumer, options->arguments);
    if (status == WARREN_OK && options->is_stream)
        status = consumer_stream_init(consumer, options);
    if (status == WARREN_OK)
        status = loop_timer_init(&consumer->retry, connection_loop(consumer->connection), on_retry,
                                 consumer);
    if (status == WARREN_OK)
        status = channel_new(consumer->connection, &events, consumer, &consumer->channel);
    return status;
}

void consumer_settle(struct consumer *consumer, struct delivery *delivery, enum verdict verdict)
{
    if (consumer_settle_delivery(consumer, delivery, verdict))
        update(consumer);
}

void consumer_leave(struct consumer *consumer, struct delivery *delivery)
{
    if (consumer_leave_delivery(consumer, delivery))
        update(consumer);
}

enum warren_status consumer_new(struct connection *connection,
                                const struct consumer_options *options,
                                const struct consumer_events *events, void *user,
                                struct consumer **ret_consumer)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    enum warren_status status;

    if (!consumer)
        return WARREN_ENOMEM;
    consumer->connection = connection;
    consumer->events = *events;
    consumer->user = user;
    consumer->options = *options;
    list_init(&consumer->pauses);
    list_init(&consumer->barriers);
    list_init(&consumer->probes);
    arena_init(&consumer->arena);
    random_init(&consumer->random, random_seed());
    backoff_init(&consumer->backoff, RETRY_MIN_MS, RETRY_MAX_MS, &consumer->random);
    status = init(consumer, options);
    if (status != WARREN_OK) {
        consumer_free(consumer);
        return status;
    }
    *ret_consumer = consumer;
    return WARREN_OK;
}

/* ---- other options ---- */

enum warren_status consumer_change(struct consumer *consumer,
                                   const struct consumer_options *options, bool other_arguments)
{
    struct consumer_options *own = &consumer->options;
    bool outdated = own->prefetch != options->prefetch || other_arguments;
    enum warren_status status = WARREN_OK;

    own->prefetch = options->prefetch;
    own->prefetch_bytes = options->prefetch_bytes;
    own->message_max = options->message_max;
    own->room = options->room;
    own->straggler_age_ms = options->straggler_age_ms;
    own->stop_at_gap = options->stop_at_gap;
    if (other_arguments) {
        amqp_table_t before = consumer->arguments;

        consumer->arguments = (amqp_table_t){0};
        status = copy_arguments(consumer, options->arguments);
        if (status != WARREN_OK)
            consumer->arguments = before;
    }
    if (own->prefetch_bytes == 0 || consumer_bytes(consumer) <= own->prefetch_bytes / 2)
        consumer->full = false;
    consumer->outdated = consumer->outdated || outdated;
    if (outdated && consumer->state != CONSUMER_AWAY)
        consumer_send_qos(consumer, NULL);
    update(consumer);
    return status;
}

void consumer_set_limits(struct consumer *consumer, size_t message_max, uint32_t straggler_age_ms)
{
    consumer->options.message_max = message_max;
    consumer->options.straggler_age_ms = straggler_age_ms;
}

void consumer_give_up_barriers(struct consumer *consumer)
{
    consumer_answer(consumer, true);
}

void consumer_start(struct consumer *consumer)
{
    consumer->started = true;
    loop_timer_disarm(&consumer->retry);
    update(consumer);
}

void consumer_pause(struct consumer *consumer, void (*done)(void *user), void *user)
{
    struct consumer_waiter waiter = {.paused = done, .user = user};

    consumer->paused = true;
    consumer->announced = false;
    update(consumer);
    if (!done)
        return;
    if (consumer->state == CONSUMER_AWAY || consumer->state == CONSUMER_IDLE) {
        done(user);
    } else if (!consumer_wait(&consumer->pauses, &waiter)) {
        connection_fail(consumer->connection, "queue '%s': out of memory", consumer->queue);
        done(user);
    }
}

void consumer_stay(struct consumer *consumer)
{
    consumer->stays = consumer->paused = true;
    consumer->announced = false;
}

void consumer_end(struct consumer *consumer)
{
    if (consumer->stays && consumer->state != CONSUMER_AWAY && consumer->state != CONSUMER_IDLE)
        channel_renew(consumer->channel);
}

void consumer_resume(struct consumer *consumer)
{
    consumer->paused = consumer->stays = false;
    update(consumer);
}

uint32_t consumer_generation(const struct consumer *consumer)
{
    return atomic_load(&consumer->generation);
}

void consumer_look(const struct consumer *consumer, struct consumer_look *ret)
{
    *ret = (struct consumer_look){.consuming = consumer->state == CONSUMER_CONSUMING,
                                  .full = consumer->full,
                                  .at_gap = consumer->at_gap,
                                  .reason = consumer->reason};
}

stream_begin consumer_begin(const struct consumer *consumer)
{
    return stream_offsets_begin(&consumer->offsets);
}

void consumer_free(struct consumer *consumer)
{
    if (!consumer)
        return;
    loop_timer_done(&consumer->retry);
    channel_free(consumer->channel);
    consumer_drop_incoming(consumer);
    consumer_forget_waiters(consumer);
    ack_batcher_done(&consumer->batcher);
    stream_offsets_done(&consumer->offsets);
    arena_done(&consumer->arena);
    free(consumer->queue);
    free(consumer);
}
