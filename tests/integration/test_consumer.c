/* test_consumer.c - a subscription on a real broker, and what happens to it there. */
#include "amqp/consumer/consumer.h"
#include "amqp/wire/property_spans.h"
#include "base/random.h"
#include "support/amqp_rig.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"

#define ANSWER_MS      20000
#define HELD_MAX       70000
#define MANY_ACKS      40
#define FRAME_BODY_MAX (131072u - FRAME_OVERHEAD)

struct fixture {
    struct broker *broker;
    struct rig *rig;
    struct consumer *consumer;
    struct consumer_options options;
    char *queue;
    char *dlq;
    bool ack_at_once;
    struct delivery *held[HELD_MAX];
    size_t held_count;
    size_t delivered;
    size_t redelivered;
    size_t bytes_most;
    int consuming;
    int interrupted;
    char reason[512];
    int unfit;
    char why[128];
    uint64_t unfit_size;
    char unfit_id[256];
    int paused;
    int barrier; /* 0: no answer; 1: passed; -1: not */
};

/* ---- events ---- */

static void on_deliver(void *user, struct delivery *delivery)
{
    struct fixture *fixture = user;

    fixture->delivered++;
    fixture->redelivered += delivery->redelivered;
    if (consumer_bytes(fixture->consumer) > fixture->bytes_most)
        fixture->bytes_most = consumer_bytes(fixture->consumer);
    if (fixture->ack_at_once) {
        consumer_settle(fixture->consumer, delivery, VERDICT_ACK);
        return;
    }
    assert_true(fixture->held_count < HELD_MAX);
    fixture->held[fixture->held_count++] = delivery;
}

static void on_consuming(void *user)
{
    ((struct fixture *)user)->consuming++;
}

static void on_interrupted(void *user, const char *reason, uint32_t retry_ms)
{
    struct fixture *fixture = user;

    assert_in_range(retry_ms, 0, 30000);
    fixture->interrupted++;
    snprintf(fixture->reason, sizeof fixture->reason, "%s", reason);
}

static void on_unfit(void *user, struct delivery *without_body, const char *why, uint64_t body_size)
{
    struct fixture *fixture = user;
    struct property_spans spans;

    assert_non_null(strstr(delivery_routing_key(without_body), fixture->queue));
    assert_int_equal(without_body->body_len, 0);
    fixture->unfit++;
    snprintf(fixture->why, sizeof fixture->why, "%s", why);
    fixture->unfit_size = body_size;
    property_spans_find(delivery_properties(without_body), &spans);
    snprintf(fixture->unfit_id, sizeof fixture->unfit_id, "%.*s", (int)spans.message_id.len,
             (const char *)spans.message_id.data);
    if (fixture->options.deliver_unfit)
        consumer_leave(fixture->consumer, without_body);
}

static void on_paused(void *user)
{
    ((struct fixture *)user)->paused++;
}

static void on_barrier(void *user, bool passed)
{
    ((struct fixture *)user)->barrier = passed ? 1 : -1;
}

static const struct consumer_events events = {on_deliver, on_consuming, on_interrupted, on_unfit,
                                              NULL};

/* ---- fixture ---- */

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->broker = broker_shared();
    fixture->rig = rig_new(fixture->broker->uri);
    fixture->queue = unique_name("consumer");
    fixture->dlq = text("%s.dlq", fixture->queue);
    rig_declare_queue(fixture->rig, fixture->dlq, "classic", NULL);
    rig_declare_queue(fixture->rig, fixture->queue, "classic", fixture->dlq);
    fixture->options = (struct consumer_options){
        .queue = fixture->queue, .prefetch = 100, .message_max = 1 << 20, .straggler_age_ms = 20};
    *state = fixture;
    return 0;
}

static void start(struct fixture *fixture)
{
    assert_int_equal(consumer_new(fixture->rig->connection, &fixture->options, &events, fixture,
                                  &fixture->consumer),
                     WARREN_OK);
    consumer_start(fixture->consumer);
}

static void settle(struct fixture *fixture, size_t index, enum verdict verdict)
{
    consumer_settle(fixture->consumer, fixture->held[index], verdict);
    fixture->held[index] = fixture->held[--fixture->held_count];
}

static void settle_all(struct fixture *fixture, enum verdict verdict)
{
    while (fixture->held_count > 0)
        settle(fixture, fixture->held_count - 1, verdict);
}

static void pass_barrier(struct fixture *fixture)
{
    consumer_flush(fixture->consumer, true);
    fixture->barrier = 0;
    consumer_barrier(fixture->consumer, on_barrier, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->barrier == 1, ANSWER_MS));
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    settle_all(fixture, VERDICT_HANDBACK);
    consumer_free(fixture->consumer);
    rig_delete_queue(fixture->rig, fixture->queue);
    rig_delete_queue(fixture->rig, fixture->dlq);
    rig_free(fixture->rig);
    broker_free(fixture->broker);
    free(fixture->queue);
    free(fixture->dlq);
    free(fixture);
    return 0;
}

static void publish(struct fixture *fixture, size_t count, size_t size)
{
    char *body = calloc(1, size + 1);

    assert_non_null(body);
    while (count-- > 0)
        rig_publish(fixture->rig, fixture->queue, body, size);
    free(body);
}

static bool until_delivered(struct fixture *fixture, size_t count)
{
    return RIG_UNTIL(fixture->rig,
                     (consumer_flush(fixture->consumer, false), fixture->delivered >= count),
                     ANSWER_MS);
}

/* ---- tests ---- */

static void pass_queue_barrier(struct fixture *fixture)
{
    consumer_flush(fixture->consumer, true);
    fixture->barrier = 0;
    consumer_queue_barrier(fixture->consumer, on_barrier, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->barrier == 1, ANSWER_MS));
}

/* More acks than a channel passes on to a quorum queue at any rate; then of four messages the first
 * is held, and the others wait behind it.
 */
static void ack_many(struct fixture *fixture)
{
    fixture->options.prefetch = 1; /* so that each is a frame */
    fixture->ack_at_once = true;
    start(fixture);
    publish(fixture, MANY_ACKS, 100);
    assert_true(until_delivered(fixture, MANY_ACKS));
    fixture->ack_at_once = false;
    publish(fixture, 4, 100);
    assert_true(until_delivered(fixture, MANY_ACKS + 1));
    assert_true(
        RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 3, ANSWER_MS));
}

/* A barrier through the queue takes nothing from it: what comes to the probe, for which nobody else
 * has room, is not shown to the owner, and is there again afterwards. Where there were few acks
 * since, nothing comes to it.
 */
static void a_queue_barrier(void **state)
{
    struct fixture *fixture = *state;

    ack_many(fixture);
    pass_queue_barrier(fixture);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 3, 5000));
    settle_all(fixture, VERDICT_ACK);
    assert_true(until_delivered(fixture, MANY_ACKS + 2));
    assert_int_equal(fixture->redelivered, 1);
    pass_queue_barrier(fixture);
    fixture->ack_at_once = true;
    settle_all(fixture, VERDICT_ACK);
    assert_true(until_delivered(fixture, MANY_ACKS + 4));
    assert_int_equal(fixture->redelivered, 1);
    pass_queue_barrier(fixture);
    assert_int_equal(rig_messages(fixture->rig, fixture->queue), 0);
}

/* Behind a pause what came to the probe is there again once the channel ends. */
static void a_queue_barrier_behind_a_pause(void **state)
{
    struct fixture *fixture = *state;

    ack_many(fixture);
    consumer_pause(fixture->consumer, on_paused, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->paused == 1, ANSWER_MS));
    settle_all(fixture, VERDICT_ACK);
    pass_queue_barrier(fixture);
    assert_int_equal(fixture->delivered, MANY_ACKS + 1);
    consumer_free(fixture->consumer);
    fixture->consumer = NULL;
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 3, 5000));
    fixture->ack_at_once = true;
    start(fixture);
    assert_true(until_delivered(fixture, MANY_ACKS + 4));
    assert_int_equal(fixture->redelivered, 1);
}

/* Without a channel there is no barrier; one that is under way when it is lost is answered. */
static void a_lost_queue_barrier(void **state)
{
    struct fixture *fixture = *state;

    ack_many(fixture);
    rig_delete_queue(fixture->rig, fixture->queue);
    consumer_queue_barrier(fixture->consumer, on_barrier, fixture); /* 404 closes the channel */
    assert_true(RIG_UNTIL(fixture->rig, fixture->barrier != 0, ANSWER_MS));
    if (!broker_at_least(fixture->broker, 4, 3)) /* there it may be on another channel by now */
        assert_int_equal(fixture->barrier, -1);
    rig_declare_queue(fixture->rig, fixture->queue, "classic", fixture->dlq);
}

/* What is acked does not come back: nothing is left in the queue once the channel is closed. */
static void acked_messages_leave_the_queue(void **state)
{
    struct fixture *fixture = *state;
    struct consumer_stats stats;

    fixture->ack_at_once = true;
    start(fixture);
    publish(fixture, 5000, 256);
    assert_true(until_delivered(fixture, 5000));
    pass_barrier(fixture);
    consumer_stats(fixture->consumer, &stats);
    assert_int_equal(stats.delivered, 5000);
    assert_int_equal(stats.settled, 5000);
    assert_in_range(stats.ack_frames, 1, 4000);
    assert_int_equal(consumer_bytes(fixture->consumer), 0);
    consumer_free(fixture->consumer);
    fixture->consumer = NULL;
    assert_int_equal(rig_messages(fixture->rig, fixture->queue), 0);
    assert_int_equal(fixture->consuming, 1);
    assert_int_equal(fixture->interrupted, 0);
}

/* Bodies arrive whole whatever the number of frames, and empty ones arrive too. */
static void bodies_around_frame_max_arrive_whole(void **state)
{
    static const size_t sizes[] = {
        0, 1, FRAME_BODY_MAX - 1, FRAME_BODY_MAX, FRAME_BODY_MAX + 1, 2 * FRAME_BODY_MAX, 700001};
    const size_t count = sizeof sizes / sizeof *sizes;
    struct fixture *fixture = *state;
    uint8_t *body = malloc(700001);

    assert_non_null(body);
    for (size_t i = 0; i < 700001; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    start(fixture);
    for (size_t i = 0; i < count; i++)
        rig_publish(fixture->rig, fixture->queue, body, sizes[i]);
    assert_true(until_delivered(fixture, count));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->held[i]->body_len, sizes[i]);
        assert_memory_equal(delivery_body(fixture->held[i]), body, sizes[i]);
        assert_string_equal(delivery_routing_key(fixture->held[i]), fixture->queue);
        assert_string_equal(delivery_exchange(fixture->held[i]), "");
    }
    free(body);
}

/* A body above the maximum goes to the dead letters unread; what follows it is delivered. */
static void an_oversized_body_is_dead_lettered(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.message_max = 200000;
    start(fixture);
    publish(fixture, 1, 200000);
    publish(fixture, 1, 200001);
    publish(fixture, 1, 10);
    assert_true(until_delivered(fixture, 2));
    assert_int_equal(fixture->unfit, 1);
    assert_int_equal(fixture->unfit_size, 200001);
    assert_int_equal(fixture->held[1]->body_len, 10);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->dlq) == 1, ANSWER_MS));
    assert_int_equal(fixture->interrupted, 0);
}

/* Anybody may publish headers nested deeper than a decoder should recurse: such a message goes to
 * the dead letters unread, and neither the connection nor what follows is harmed. */
static void deeply_nested_headers_are_dead_lettered(void **state)
{
    enum { DEPTH = 60 };
    struct fixture *fixture = *state;
    struct peer *peer = peer_new(fixture->broker->uri);
    amqp_table_entry_t entries[DEPTH];
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};

    for (int i = 0; i < DEPTH; i++) {
        entries[i] = (amqp_table_entry_t){.key = amqp_cstring_bytes("k")};
        entries[i].value.kind = i < DEPTH - 1 ? AMQP_FIELD_KIND_TABLE : AMQP_FIELD_KIND_VOID;
        if (i < DEPTH - 1)
            entries[i].value.value.table = (amqp_table_t){1, &entries[i + 1]};
    }
    properties.headers = (amqp_table_t){1, entries};
    properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    properties.message_id = amqp_cstring_bytes("deep-id");
    start(fixture);
    peer_publish(peer, "", fixture->queue, "deep", 4, &properties);
    publish(fixture, 1, 10);
    assert_true(until_delivered(fixture, 1));
    assert_int_equal(fixture->unfit, 1);
    assert_non_null(strstr(fixture->why, "nested too deeply"));
    assert_string_equal(fixture->unfit_id, "deep-id");
    assert_int_equal(fixture->held[0]->body_len, 10);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->dlq) == 1, ANSWER_MS));
    assert_int_equal(fixture->rig->losses, 0);
    peer_free(peer);
}

/* A message with a header @name, a text of @size bytes. */
static void publish_headers(struct fixture *fixture, const char *name, size_t size)
{
    struct peer *peer = peer_new(fixture->broker->uri);
    char *text = malloc(size);
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(name)};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};

    assert_non_null(text);
    memset(text, 'h', size);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = (amqp_bytes_t){size, text};
    properties.headers = (amqp_table_t){1, &entry};
    peer_publish(peer, "", fixture->queue, "grown", 5, &properties);
    peer_free(peer);
    free(text);
}

/* Headers that fill a frame outgrow it when the broker adds its count: they come all the same. */
static void headers_outgrow_a_frame(void **state)
{
    struct fixture *fixture = *state;

    rig_delete_queue(fixture->rig, fixture->queue);
    rig_declare_queue(fixture->rig, fixture->queue, "quorum", fixture->dlq);
    start(fixture);
    publish_headers(fixture, "big", FRAME_BODY_MAX - HEADER_FIXED - 16);
    assert_true(until_delivered(fixture, 1));
    settle(fixture, 0, VERDICT_RETRY);
    assert_true(until_delivered(fixture, 2));
    assert_true(fixture->held[0]->redelivered);
    assert_true(fixture->held[0]->properties_len > FRAME_BODY_MAX - HEADER_FIXED);
    settle(fixture, 0, VERDICT_ACK);
    pass_barrier(fixture);
    assert_int_equal(fixture->rig->losses, 0);
}

/* ---- headers that are too large to be taken ---- */

#define CC_KEYS 440

/* A queue that expires at once into the exchange of the same name, and by that into queue @to. */
static void make_hop(struct peer *peer, const char *queue, const char *to)
{
    amqp_table_entry_t arguments[2] = {{.key = amqp_cstring_bytes("x-message-ttl")},
                                       {.key = amqp_cstring_bytes("x-dead-letter-exchange")}};

    arguments[0].value.kind = AMQP_FIELD_KIND_I32;
    arguments[0].value.value.i32 = 0;
    arguments[1].value.kind = AMQP_FIELD_KIND_UTF8;
    arguments[1].value.value.bytes = amqp_cstring_bytes(queue);
    peer_exchange(peer, queue, "fanout");
    peer_bind(peer, to, queue, "");
    peer_declare_with(peer, queue, "classic", arguments, 2);
}

/* Each of the broker's notes about a hop has all keys of the header CC. */
static void publish_keys(struct peer *peer, const char *queue)
{
    static char key[255];
    static amqp_field_value_t keys[CC_KEYS];
    amqp_table_entry_t cc = {.key = amqp_cstring_bytes("CC")};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};

    memset(key, 'k', sizeof key);
    for (int i = 0; i < CC_KEYS; i++) {
        keys[i].kind = AMQP_FIELD_KIND_UTF8;
        keys[i].value.bytes = (amqp_bytes_t){sizeof key, key};
    }
    cc.value.kind = AMQP_FIELD_KIND_ARRAY;
    cc.value.value.array = (amqp_array_t){CC_KEYS, keys};
    properties.headers = (amqp_table_t){1, &cc};
    peer_publish(peer, "", queue, "large", 5, &properties);
}

/* Headers beyond what is taken cost that message alone: it goes to the dead letters unread. */
static void headers_that_are_too_large_are_dead_lettered(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_new(fixture->broker->uri);
    char *second = text("%s.second", fixture->queue);
    char *first = text("%s.first", fixture->queue);
    bool unfit;

    make_hop(peer, second, fixture->queue);
    make_hop(peer, first, second);
    start(fixture);
    publish_keys(peer, first);
    unfit = RIG_UNTIL(fixture->rig, fixture->unfit == 1 || fixture->rig->losses > 0, ANSWER_MS);
    peer_delete_alone(peer, first);
    peer_delete_alone(peer, second);
    peer_delete_exchange(peer, first);
    peer_delete_exchange(peer, second);
    peer_free(peer);
    free(first);
    free(second);

    assert_true(unfit);
    assert_non_null(strstr(fixture->why, "headers are larger"));
    assert_int_equal(fixture->unfit_size, 5);
    publish(fixture, 1, 10);
    assert_true(until_delivered(fixture, 1));
    assert_int_equal(fixture->held[0]->body_len, 10);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->dlq) == 1, ANSWER_MS));
    assert_int_equal(fixture->rig->losses, 0);
}

/* What is left stays unsettled, an unfit message, too; one hand-back returns all of it. */
static void what_is_left_is_handed_back(void **state)
{
    struct fixture *fixture = *state;
    char *body = calloc(1, 5000);

    assert_non_null(body);
    fixture->options.message_max = 1000;
    fixture->options.deliver_unfit = true;
    rig_publish(fixture->rig, fixture->queue, "small", 5);
    rig_publish(fixture->rig, fixture->queue, body, 5000);
    rig_publish(fixture->rig, fixture->queue, "acked", 5);
    start(fixture);
    assert_true(
        RIG_UNTIL(fixture->rig, fixture->held_count == 2 && fixture->unfit == 1, ANSWER_MS));
    assert_int_equal(rig_messages(fixture->rig, fixture->queue), 0);
    consumer_leave(fixture->consumer, fixture->held[0]);
    consumer_settle(fixture->consumer, fixture->held[1], VERDICT_ACK);
    fixture->held_count = 0;
    assert_int_equal(consumer_bytes(fixture->consumer), 0);
    consumer_pause(fixture->consumer, on_paused, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->paused, ANSWER_MS));
    consumer_hand_back(fixture->consumer);
    assert_true(
        RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 2, ANSWER_MS));
    assert_int_equal(rig_messages(fixture->rig, fixture->dlq), 0);
    free(body);
}

static void in_order(const struct peer_message *message, void *user)
{
    unsigned *next = user;
    char *expected = text("in-order-%u", (*next)++);

    assert_string_equal(message->body, expected);
    free(expected);
}

static amqp_table_entry_t number(const char *name, int value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                                .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = value}}};
}

/* Messages that are handed back have their old order. RabbitMQ 3 lost it in a quorum queue with a
 * delivery limit, for more than 32 of them. */
static void a_hand_back_keeps_the_order(void **state)
{
    const amqp_table_entry_t limit = number("x-delivery-limit", 1000000000);
    struct fixture *fixture = *state;
    struct peer *peer = peer_new(fixture->broker->uri);
    unsigned next = 0;

    peer_delete_alone(peer, fixture->queue);
    peer_declare_with(peer, fixture->queue, "quorum", &limit, 1);
    peer_publish_many(peer, fixture->queue, "in-order", 100);
    start(fixture);
    assert_true(until_delivered(fixture, 100));
    consumer_pause(fixture->consumer, on_paused, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->paused, ANSWER_MS));
    consumer_hand_back(fixture->consumer);
    settle_all(fixture, VERDICT_HANDBACK);
    assert_true(
        RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 100, ANSWER_MS));
    assert_int_equal(peer_drain(peer, fixture->queue, in_order, &next), 100);
    peer_free(peer);
}

/* RabbitMQ 4.3 cancels a consumer that is late, and keeps it. What was late runs once more, on
 * another channel, where the only consumer is; what the late ones say is told to nobody. */
static void a_consumer_time_out(void **state)
{
    const amqp_table_entry_t timeout = number("x-consumer-timeout", 1000);
    struct fixture *fixture = *state;
    struct peer *peer = peer_new(fixture->broker->uri);
    struct consumer_stats stats;

    if (!broker_at_least(fixture->broker, 4, 3)) {
        peer_free(peer);
        skip();
    }
    peer_delete_alone(peer, fixture->queue);
    peer_declare_with(peer, fixture->queue, "quorum", &timeout, 1);
    peer_publish_many(peer, fixture->queue, "late", 3);
    start(fixture);
    assert_true(until_delivered(fixture, 3));
    assert_true(until_delivered(fixture, 6));
    assert_int_equal(fixture->interrupted, 1);
    assert_non_null(strstr(fixture->reason, "consumer time-out"));
    for (int i = 5; i >= 0; i--) /* the later three are in time */
        settle(fixture, (size_t)i, VERDICT_ACK);
    pass_barrier(fixture);
    consumer_stats(fixture->consumer, &stats);
    assert_int_equal(stats.stale, 3);
    assert_true(RIG_UNTIL(fixture->rig, peer_consumers(peer, fixture->queue) == 1, ANSWER_MS));
    peer_publish_many(peer, fixture->queue, "more", 1);
    assert_true(until_delivered(fixture, 7));
    assert_int_equal(fixture->delivered, 7);
    settle_all(fixture, VERDICT_ACK);
    peer_free(peer);
}

/* ... which is not said of a queue that was deleted meanwhile. */
static void a_queue_deleted_under_messages(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_new(fixture->broker->uri);

    peer_delete_alone(peer, fixture->queue);
    peer_declare(peer, fixture->queue, "quorum");
    peer_publish_many(peer, fixture->queue, "late", 1);
    start(fixture);
    assert_true(until_delivered(fixture, 1));
    peer_delete_alone(peer, fixture->queue);
    assert_true(RIG_UNTIL(fixture->rig, fixture->interrupted > 0, ANSWER_MS));
    assert_non_null(strstr(fixture->reason, "its queue was deleted"));
    settle_all(fixture, VERDICT_ACK);
    peer_free(peer);
}

/* Reject dead-letters; retry and hand-back deliver again, flagged as redelivered. */
static void verdicts_do_what_they_say(void **state)
{
    struct fixture *fixture = *state;

    start(fixture);
    publish(fixture, 3, 10);
    assert_true(until_delivered(fixture, 3));
    settle(fixture, 2, VERDICT_REJECT);
    settle(fixture, 1, VERDICT_RETRY);
    settle(fixture, 0, VERDICT_HANDBACK);
    assert_true(until_delivered(fixture, 5));
    assert_int_equal(fixture->redelivered, 2);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->dlq) == 1, ANSWER_MS));
}

static void settle_in_random_order(struct fixture *fixture)
{
    struct random random;

    random_init(&random, 42);
    fixture->options.prefetch = 300;
    start(fixture);
    publish(fixture, 20000, 64);
    while (fixture->delivered < 20000) {
        size_t some = fixture->held_count / 2;

        while (some-- > 0)
            settle(fixture, random_upto(&random, fixture->held_count - 1), VERDICT_ACK);
        assert_true(until_delivered(fixture, fixture->delivered + 1));
    }
    settle_all(fixture, VERDICT_ACK);
    pass_barrier(fixture);
    assert_int_equal(fixture->interrupted, 0);
    assert_int_equal(fixture->redelivered, 0);
    assert_int_equal(rig_messages(fixture->rig, fixture->queue), 0);
}

/* Settled in random order at full speed: the broker takes offence at nothing. */
static void random_order_on_a_classic_queue(void **state)
{
    settle_in_random_order(*state);
}

static void random_order_on_a_quorum_queue(void **state)
{
    struct fixture *fixture = *state;

    rig_delete_queue(fixture->rig, fixture->queue);
    rig_declare_queue(fixture->rig, fixture->queue, "quorum", fixture->dlq);
    settle_in_random_order(fixture);
}

/* One message that is never finished does not stop the others, with as small a window as two. */
static void a_stuck_message_does_not_starve_the_others(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.prefetch = 2;
    start(fixture);
    publish(fixture, 1, 10);
    assert_true(until_delivered(fixture, 1));
    fixture->ack_at_once = true;
    publish(fixture, 200, 10);
    assert_true(until_delivered(fixture, 201));
    assert_int_equal(fixture->held_count, 1);
}

/* Above prefetch_bytes the broker stops sending, at half of it it goes on, and all arrive. */
static void bytes_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct consumer_stats stats;

    fixture->options.prefetch = 10;
    fixture->options.prefetch_bytes = 65536;
    start(fixture);
    publish(fixture, 200, 20000);
    while (fixture->delivered < 200) {
        assert_true(until_delivered(fixture, fixture->delivered + 1));
        if (fixture->held_count >= 4)
            settle_all(fixture, VERDICT_ACK);
        else if (fixture->delivered > 196)
            settle_all(fixture, VERDICT_ACK);
    }
    consumer_stats(fixture->consumer, &stats);
    assert_true(stats.byte_pauses > 0);
    /* What was on its way when the broker was asked to stop still comes: at most the prefetch. */
    assert_in_range(fixture->bytes_most, 65536, 65536 + 10 * 21000);
    assert_int_equal(fixture->consuming, 1);
    assert_int_equal(fixture->interrupted, 0);
}

/* A message above the byte bound is delivered all the same, alone. */
static void one_message_above_the_byte_bound_passes(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.prefetch_bytes = 1000;
    fixture->ack_at_once = true;
    start(fixture);
    publish(fixture, 3, 5000);
    assert_true(until_delivered(fixture, 3));
}

/* After the pause is acknowledged nothing comes, and what came can be settled; then it goes on. */
static void pause_and_resume(void **state)
{
    struct fixture *fixture = *state;

    start(fixture);
    publish(fixture, 10, 10);
    assert_true(until_delivered(fixture, 10));
    consumer_pause(fixture->consumer, on_paused, fixture);
    assert_int_equal(fixture->paused, 0);
    assert_true(RIG_UNTIL(fixture->rig, fixture->paused == 1, ANSWER_MS));
    settle_all(fixture, VERDICT_ACK);
    publish(fixture, 5, 10);
    pass_barrier(fixture);
    assert_true(RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->queue) == 5,
                          ANSWER_MS)); /* a count may overtake what it counts */
    assert_int_equal(fixture->delivered, 10);
    consumer_pause(fixture->consumer, on_paused, fixture);
    assert_int_equal(fixture->paused, 2); /* at once */

    consumer_resume(fixture->consumer);
    assert_true(until_delivered(fixture, 15));
    assert_int_equal(fixture->redelivered, 0);
    assert_int_equal(fixture->consuming, 2);
}

/* Pause and resume faster than the broker answers end in a subscription, and once only. */
static void quick_pauses_do_not_confuse(void **state)
{
    struct fixture *fixture = *state;

    start(fixture);
    for (int i = 0; i < 20; i++) {
        consumer_pause(fixture->consumer, on_paused, fixture);
        if (i % 3 == 0)
            rig_turn(fixture->rig);
        consumer_resume(fixture->consumer);
        if (i % 7 == 0)
            rig_turn(fixture->rig);
    }
    publish(fixture, 50, 10);
    assert_true(until_delivered(fixture, 50));
    assert_true(RIG_UNTIL(fixture->rig, fixture->paused == 20, ANSWER_MS));
    assert_int_equal(fixture->interrupted, 0);
    assert_int_equal(fixture->delivered, 50);
}

/* The queue is deleted: told once what happened, retried, and consuming when it is back. */
static void a_deleted_queue_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct consumer_stats stats;

    start(fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->consuming == 1, ANSWER_MS));
    rig_delete_queue(fixture->rig, fixture->queue);
    assert_true(RIG_UNTIL(fixture->rig, fixture->interrupted == 1, ANSWER_MS));
    assert_non_null(strstr(fixture->reason, "cancelled"));
    assert_true(RIG_UNTIL(fixture->rig, fixture->interrupted == 2, ANSWER_MS));
    assert_non_null(strstr(fixture->reason, "404 NOT_FOUND"));

    rig_declare_queue(fixture->rig, fixture->queue, "classic", fixture->dlq);
    assert_true(RIG_UNTIL(fixture->rig, fixture->consuming == 2, ANSWER_MS));
    publish(fixture, 1, 10);
    assert_true(until_delivered(fixture, 1));
    consumer_stats(fixture->consumer, &stats);
    assert_int_equal(stats.recoveries, 1);
}

/* A queue that is not there is asked for again and again, and reported once. */
static void a_missing_queue_is_reported_once(void **state)
{
    struct fixture *fixture = *state;
    uint32_t generation;

    rig_delete_queue(fixture->rig, fixture->queue);
    start(fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->interrupted == 1, ANSWER_MS));
    generation = 0;
    for (int tries = 0; tries < 2; tries++) {
        assert_true(RIG_UNTIL(fixture->rig, consumer_generation(fixture->consumer) > generation,
                              ANSWER_MS));
        generation = consumer_generation(fixture->consumer);
    }
    assert_int_equal(fixture->interrupted, 1);
    rig_declare_queue(fixture->rig, fixture->queue, "quorum", NULL);
    assert_true(RIG_UNTIL(fixture->rig, fixture->consuming == 1, ANSWER_MS));
}

/* The connection is closed by the broker: all comes again, and old deliveries settle nothing. */
static void after_a_lost_connection_all_comes_again(void **state)
{
    struct fixture *fixture = *state;
    struct consumer_stats stats;

    start(fixture);
    publish(fixture, 10, 10);
    assert_true(until_delivered(fixture, 10));
    assert_int_equal(broker_close_connections(fixture->broker, fixture->rig->name), 1);
    consumer_barrier(fixture->consumer, on_barrier, fixture);
    assert_true(RIG_UNTIL(fixture->rig, fixture->barrier == -1, ANSWER_MS));
    assert_int_equal(consumer_generation(fixture->consumer), 0);
    settle(fixture, 0, VERDICT_ACK);
    settle(fixture, 0, VERDICT_REJECT);

    assert_true(until_delivered(fixture, 20));
    assert_int_equal(fixture->redelivered, 10);
    assert_int_equal(consumer_generation(fixture->consumer), 2);
    settle_all(fixture, VERDICT_ACK);
    pass_barrier(fixture);
    consumer_stats(fixture->consumer, &stats);
    assert_int_equal(stats.stale, 10);
    assert_int_equal(stats.recoveries, 1);
    assert_int_equal(fixture->consuming, 2);
    assert_int_equal(fixture->interrupted, 0);
    assert_int_equal(consumer_bytes(fixture->consumer), 0);
    assert_int_equal(rig_messages(fixture->rig, fixture->queue), 0);
    assert_int_equal(rig_messages(fixture->rig, fixture->dlq), 0);
}

/* Arguments of the subscription reach the broker, and outlive the caller's strings. */
static void arguments_are_copied_and_sent(void **state)
{
    struct fixture *fixture = *state;
    char *name = text("%s", "x-priority");
    struct warren_field field = warren_field_i64(name, 7);
    struct warren_table arguments = {&field, 1};
    char *found;

    fixture->options.arguments = &arguments;
    assert_int_equal(consumer_new(fixture->rig->connection, &fixture->options, &events, fixture,
                                  &fixture->consumer),
                     WARREN_OK);
    memset(name, 'z', strlen(name));
    free(name);
    consumer_start(fixture->consumer);
    assert_true(RIG_UNTIL(fixture->rig, fixture->consuming == 1, ANSWER_MS));
    found = broker_eval(fixture->broker,
                        "lists:flatten(io_lib:format(\"~p\", [[proplists:get_value(arguments, C) "
                        "|| C <- rabbit_amqqueue:consumers_all(<<\"/\">>), element(4, "
                        "proplists:get_value(queue_name, C)) =:= <<\"%s\">>]])).",
                        fixture->queue);
    assert_non_null(strstr(found, "x-priority"));
    assert_non_null(strstr(found, "7"));
    free(found);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acked_messages_leave_the_queue),
        TEST(bodies_around_frame_max_arrive_whole),
        TEST(an_oversized_body_is_dead_lettered),
        TEST(deeply_nested_headers_are_dead_lettered),
        TEST(headers_outgrow_a_frame),
        TEST(headers_that_are_too_large_are_dead_lettered),
        TEST(what_is_left_is_handed_back),
        TEST(a_hand_back_keeps_the_order),
        TEST(a_consumer_time_out),
        TEST(a_queue_deleted_under_messages),
        TEST(verdicts_do_what_they_say),
        TEST(random_order_on_a_classic_queue),
        TEST(random_order_on_a_quorum_queue),
        TEST(a_stuck_message_does_not_starve_the_others),
        TEST(bytes_are_bounded),
        TEST(one_message_above_the_byte_bound_passes),
        TEST(a_queue_barrier),
        TEST(a_queue_barrier_behind_a_pause),
        TEST(a_lost_queue_barrier),
        TEST(pause_and_resume),
        TEST(quick_pauses_do_not_confuse),
        TEST(a_deleted_queue_is_waited_for),
        TEST(a_missing_queue_is_reported_once),
        TEST(after_a_lost_connection_all_comes_again),
        TEST(arguments_are_copied_and_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
