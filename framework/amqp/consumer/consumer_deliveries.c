/* consumer_deliveries.c - messages come in, verdicts go out. */
#include <assert.h>
#include <string.h>

#include "amqp/consumer/consumer_private.h"
#include "amqp/wire/property_spans.h"
#include "amqp/wire/wire.h"

/* A property list that has but a message id. */
#define ID_LIST_MAX (2 + 1 + WIRE_SHORT_MAX)

/* ---- verdicts on the wire ---- */

enum warren_status consumer_sent(struct consumer *consumer, enum warren_status status)
{
    if (status != WARREN_OK && status != WARREN_ECLOSED)
        connection_fail(consumer->connection, "queue '%s': cannot send a method: %s",
                        consumer->queue, warren_status_name(status));
    return status;
}

static enum warren_status send_verdict(struct consumer *consumer, uint32_t id, void *method)
{
    consumer->frames++;
    return consumer_sent(consumer, channel_send(consumer->channel, id, method));
}

static enum warren_status send_ack(void *user, uint64_t tag, bool multiple)
{
    amqp_basic_ack_t ack = {.delivery_tag = tag, .multiple = multiple};

    return send_verdict(user, AMQP_BASIC_ACK_METHOD, &ack);
}

static enum warren_status send_negative(void *user, uint64_t tag, enum verdict verdict)
{
    amqp_basic_reject_t reject = {.delivery_tag = tag, .requeue = verdict == VERDICT_RETRY};
    amqp_basic_nack_t nack = {.delivery_tag = tag, .requeue = true};

    if (verdict == VERDICT_HANDBACK)
        return send_verdict(user, AMQP_BASIC_NACK_METHOD, &nack);
    return send_verdict(user, AMQP_BASIC_REJECT_METHOD, &reject);
}

bool consumer_hands_back_free(const struct consumer *consumer)
{
    return connection_server_at_least(consumer->connection, 4, 3);
}

/* A nack that counts as a delivery has nothing over the end of the channel, and RabbitMQ 3 loses
 * the order of a queue with a delivery limit where it names more than 32 messages, or where many
 * come at once, which the broker's channel then puts together. */
static enum warren_status send_hand_back(void *user, uint64_t tag)
{
    const struct consumer *consumer = user;
    amqp_basic_nack_t nack = {.delivery_tag = tag, .multiple = true, .requeue = true};

    if (!consumer_hands_back_free(consumer) || consumer->stays)
        return consumer_end_channel(user);
    return send_verdict(user, AMQP_BASIC_NACK_METHOD, &nack);
}

const struct ack_sink consumer_ack_sink = {
    .ack = send_ack, .negative = send_negative, .hand_back = send_hand_back};

/* ---- in ---- */

static bool is_probe(const amqp_bytes_t *tag)
{
    size_t len = strlen(CONSUMER_PROBE);

    return tag->len > len && memcmp(tag->bytes, CONSUMER_PROBE, len) == 0;
}

void consumer_on_deliver(struct consumer *consumer, const amqp_basic_deliver_t *deliver)
{
    struct consumer_incoming *incoming = &consumer->incoming;
    enum warren_status status = ack_batcher_delivered(&consumer->batcher, deliver->delivery_tag);

    if (status != WARREN_OK) {
        connection_fail(consumer->connection,
                        "queue '%s': delivery tag %llu came where %llu was due, or too many",
                        consumer->queue, (unsigned long long)deliver->delivery_tag,
                        (unsigned long long)consumer->batcher.next);
        return;
    }
    assert(!incoming->delivery);
    assert(deliver->exchange.len <= WIRE_SHORT_MAX);
    assert(deliver->routing_key.len <= WIRE_SHORT_MAX);
    incoming->tag = deliver->delivery_tag;
    incoming->redelivered = deliver->redelivered;
    incoming->probed = is_probe(&deliver->consumer_tag);
    incoming->exchange_len = deliver->exchange.len;
    incoming->routing_key_len = deliver->routing_key.len;
    if (deliver->exchange.len > 0)
        memcpy(incoming->exchange, deliver->exchange.bytes, deliver->exchange.len);
    if (deliver->routing_key.len > 0)
        memcpy(incoming->routing_key, deliver->routing_key.bytes, deliver->routing_key.len);
}

/* Of an unfit message the id is kept, for the log; what may not be decoded is not. */
static struct warren_bytes id_alone(struct warren_bytes properties, uint8_t list[ID_LIST_MAX])
{
    struct property_spans spans;

    property_spans_find(properties, &spans);
    wire_put_u16(list, spans.message_id.len > 0 ? AMQP_BASIC_MESSAGE_ID_FLAG : 0);
    if (spans.message_id.len == 0)
        return (struct warren_bytes){list, 2};
    list[2] = (uint8_t)spans.message_id.len;
    memcpy(list + 3, spans.message_id.data, spans.message_id.len);
    return (struct warren_bytes){list, 3 + spans.message_id.len};
}

uint8_t *consumer_on_content(void *user, const struct content_header *header)
{
    struct consumer *consumer = user;
    struct consumer_incoming *incoming = &consumer->incoming;
    struct warren_bytes exchange = {incoming->exchange, incoming->exchange_len};
    struct warren_bytes routing_key = {incoming->routing_key, incoming->routing_key_len};
    const char *unfit = header->unfit;
    uint8_t list[ID_LIST_MAX];
    struct delivery *delivery;

    if (!unfit && header->body_size > consumer->options.message_max)
        unfit = "the body is larger than consumer.message_max";
    delivery = delivery_new(consumer->options.room, exchange, routing_key,
                            unfit ? id_alone(header->properties, list) : header->properties,
                            unfit ? 0 : (size_t)header->body_size);

    if (!delivery) {
        connection_fail(consumer->connection, "queue '%s': no memory for a message of %llu bytes",
                        consumer->queue, (unsigned long long)header->body_size);
        return NULL;
    }
    delivery->tag = incoming->tag;
    delivery->generation = consumer->batcher.generation;
    delivery->redelivered = incoming->redelivered;
    if (consumer->options.is_stream)
        delivery->offset = consumer_stream_offset(header->properties);
    incoming->delivery = delivery;
    incoming->unfit = unfit;
    incoming->body_size = header->body_size;
    counter_add(&consumer->bytes, (int64_t)delivery_size(delivery));
    return unfit ? NULL : delivery_body(delivery);
}

static bool refuse_unfit(struct consumer *consumer, struct delivery *delivery)
{
    counter_add(&consumer->unfit, 1);
    consumer->events.unfit(consumer->user, delivery, consumer->incoming.unfit,
                           consumer->incoming.body_size);
    if (consumer->options.deliver_unfit)
        return false;
    return consumer_settle_delivery(consumer, delivery, VERDICT_REJECT);
}

/* It stays unsettled until the end of the channel. */
static bool leave_unseen(struct consumer *consumer, struct delivery *delivery)
{
    if (delivery->generation == consumer->batcher.generation)
        ack_batcher_abandon(&consumer->batcher, delivery->tag);
    return consumer_leave_delivery(consumer, delivery);
}

/* Nobody asked for it. Back to the head of the queue, from where it comes again; without a
 * subscription it is kept until the end of the channel, so that what is handed back before then
 * stands in front of it. */
static bool give_back_probed(struct consumer *consumer, struct delivery *delivery)
{
    if (consumer->state != CONSUMER_IDLE)
        return consumer_settle_delivery(consumer, delivery, VERDICT_HANDBACK);
    return leave_unseen(consumer, delivery);
}

static bool becomes_full(struct consumer *consumer)
{
    if (consumer->full || consumer->options.prefetch_bytes == 0 ||
        consumer_bytes(consumer) < consumer->options.prefetch_bytes)
        return false;
    consumer->full = true;
    counter_add(&consumer->byte_pauses, 1);
    return true;
}

bool consumer_complete(struct consumer *consumer)
{
    bool became_full;
    struct delivery *delivery = consumer->incoming.delivery;

    if (!delivery) /* there was no memory; the connection is being dropped */
        return false;
    consumer->incoming.delivery = NULL;
    if (consumer->incoming.probed)
        return give_back_probed(consumer, delivery);
    if (consumer->options.is_stream && !consumer_stream_goes_on(consumer, delivery))
        return leave_unseen(consumer, delivery);
    if (consumer->options.is_stream && consumer_stream_settled(consumer, delivery))
        return consumer_settle_delivery(consumer, delivery, VERDICT_ACK);
    counter_add(&consumer->delivered, 1);
    counter_add(&consumer->redelivered, delivery->redelivered);
    if (consumer->incoming.unfit)
        return refuse_unfit(consumer, delivery);
    became_full = becomes_full(consumer);
    consumer->events.deliver(consumer->user, delivery);
    return became_full;
}

void consumer_drop_incoming(struct consumer *consumer)
{
    struct delivery *delivery = consumer->incoming.delivery;

    if (!delivery)
        return;
    counter_add(&consumer->bytes, -(int64_t)delivery_size(delivery));
    consumer->incoming.delivery = NULL;
    delivery_free(delivery);
}

/* ---- out ---- */

bool consumer_leave_delivery(struct consumer *consumer, struct delivery *delivery)
{
    counter_add(&consumer->bytes, -(int64_t)delivery_size(delivery));
    delivery_free(delivery);
    if (!consumer->full || consumer_bytes(consumer) > consumer->options.prefetch_bytes / 2)
        return false;
    consumer->full = false;
    return true;
}

bool consumer_settle_delivery(struct consumer *consumer, struct delivery *delivery,
                              enum verdict verdict)
{
    enum warren_status status =
        ack_batcher_settle(&consumer->batcher, delivery->generation, delivery->tag, verdict,
                           consumer_now_ms(consumer));

    assert(status != WARREN_EINVAL); /* each delivery has one owner, who settles it once */
    (void)status;                    /* a send that failed: consumer_sent() saw to it */
    /* Also of an older generation. What is handed back, the stream does not take. */
    if (consumer->options.is_stream && (verdict == VERDICT_ACK || verdict == VERDICT_REJECT))
        stream_offsets_settled(&consumer->offsets, delivery->offset);
    return consumer_leave_delivery(consumer, delivery);
}

void consumer_moved(struct consumer *consumer, const struct delivery *from,
                    const struct delivery *to)
{
    counter_add(&consumer->bytes, (int64_t)delivery_size(to) - (int64_t)delivery_size(from));
}

void consumer_flush(struct consumer *consumer, bool all)
{
    struct ack_batcher *batcher = &consumer->batcher;

    if (batcher->unsent == 0)
        return;
    ack_batcher_flush(batcher, consumer_now_ms(consumer),
                      all ? 0 : consumer->options.straggler_age_ms);
    /* Acks kept back count against the prefetch: with half of it gone the broker would stall. */
    if (batcher->unsent > consumer->options.prefetch / 2u)
        ack_batcher_flush(batcher, consumer_now_ms(consumer), 0);
}

void consumer_hand_back(struct consumer *consumer)
{
    consumer_flush(consumer, true);
    ack_batcher_hand_back(&consumer->batcher);
}

bool consumer_roomy(const struct consumer *consumer)
{
    return ack_batcher_outstanding(&consumer->batcher) < consumer->options.prefetch / 2u &&
           (consumer->options.prefetch_bytes == 0 ||
            consumer_bytes(consumer) < consumer->options.prefetch_bytes / 2);
}

uint32_t consumer_unsent(const struct consumer *consumer)
{
    return consumer->batcher.unsent;
}

size_t consumer_bytes(const struct consumer *consumer)
{
    return (size_t)counter_get(&consumer->bytes);
}

void consumer_stats(const struct consumer *consumer, struct consumer_stats *stats)
{
    *stats = (struct consumer_stats){
        .delivered = counter_get(&consumer->delivered),
        .redelivered = counter_get(&consumer->redelivered),
        .settled = counter_get(&consumer->batcher.settled),
        .ack_frames = counter_get(&consumer->batcher.acks_sent),
        .stale = counter_get(&consumer->batcher.stale),
        .unfit = counter_get(&consumer->unfit),
        .recoveries = counter_get(&consumer->recoveries),
        .byte_pauses = counter_get(&consumer->byte_pauses),
    };
}
