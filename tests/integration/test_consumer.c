/* test_consumer.c - a subscription on a real broker, and what happens to it there. */
#include "amqp/consumer/consumer.h"
#include "amqp/wire/property_spans.h"
#include "base/random.h"
#include "support/amqp_rig.h"
#include "support/fixture.h"

#define ANSWER_MS      20000
#define HELD_MAX       70000
#define MANY_ACKS      40
#define FRAME_BODY_MAX (131072u - FRAME_OVERHEAD)

struct consuming {
    struct fixture *f;
    struct rig *rig;
    struct consumer *consumer;
    struct consumer_options options;
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
    struct consuming *c = user;

    c->delivered++;
    c->redelivered += delivery->redelivered;
    if (consumer_bytes(c->consumer) > c->bytes_most)
        c->bytes_most = consumer_bytes(c->consumer);
    if (c->ack_at_once) {
        consumer_settle(c->consumer, delivery, VERDICT_ACK);
        return;
    }
    assert_true(c->held_count < HELD_MAX);
    c->held[c->held_count++] = delivery;
}

static void on_consuming(void *user)
{
    ((struct consuming *)user)->consuming++;
}

static void on_interrupted(void *user, const char *reason, uint32_t retry_ms)
{
    struct consuming *c = user;

    assert_in_range(retry_ms, 0, 30000);
    c->interrupted++;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
}

static void on_unfit(void *user, struct delivery *without_body, const char *why, uint64_t body_size)
{
    struct consuming *c = user;
    struct property_spans spans;

    assert_non_null(strstr(delivery_routing_key(without_body), c->f->queue));
    assert_int_equal(without_body->body_len, 0);
    c->unfit++;
    snprintf(c->why, sizeof c->why, "%s", why);
    c->unfit_size = body_size;
    property_spans_find(delivery_properties(without_body), &spans);
    snprintf(c->unfit_id, sizeof c->unfit_id, "%.*s", (int)spans.message_id.len,
             (const char *)spans.message_id.data);
    if (c->options.deliver_unfit)
        consumer_leave(c->consumer, without_body);
}

static void on_paused(void *user)
{
    ((struct consuming *)user)->paused++;
}

static void on_barrier(void *user, bool passed)
{
    ((struct consuming *)user)->barrier = passed ? 1 : -1;
}

static const struct consumer_events events = {on_deliver, on_consuming, on_interrupted, on_unfit,
                                              NULL};

/* ---- life ---- */

static int setup(void **state)
{
    struct consuming *c = calloc(1, sizeof *c);

    assert_non_null(c);
    fixture_setup(state);
    c->f = *state;
    c->f->own = c;
    c->rig = rig_new(c->f->broker->uri);
    fixture_declare_with_dlq(c->f, "classic");
    c->options = (struct consumer_options){
        .queue = c->f->queue, .prefetch = 100, .message_max = 1 << 20, .straggler_age_ms = 20};
    *state = c;
    return 0;
}

static void start(struct consuming *c)
{
    assert_int_equal(consumer_new(c->rig->connection, &c->options, &events, c, &c->consumer),
                     WARREN_OK);
    consumer_start(c->consumer);
}

static void settle(struct consuming *c, size_t index, enum verdict verdict)
{
    consumer_settle(c->consumer, c->held[index], verdict);
    c->held[index] = c->held[--c->held_count];
}

static void settle_all(struct consuming *c, enum verdict verdict)
{
    while (c->held_count > 0)
        settle(c, c->held_count - 1, verdict);
}

static void pass_barrier(struct consuming *c)
{
    consumer_flush(c->consumer, true);
    c->barrier = 0;
    consumer_barrier(c->consumer, on_barrier, c);
    assert_true(RIG_UNTIL(c->rig, c->barrier == 1, ANSWER_MS));
}

static int teardown(void **state)
{
    struct consuming *c = *state;

    settle_all(c, VERDICT_HANDBACK);
    consumer_free(c->consumer);
    rig_free(c->rig);
    *state = c->f;
    return fixture_teardown(state);
}

static void publish(struct consuming *c, size_t count, size_t size)
{
    char *body = calloc(1, size + 1);

    assert_non_null(body);
    while (count-- > 0)
        rig_publish(c->rig, c->f->queue, body, size);
    free(body);
}

static bool until_delivered(struct consuming *c, size_t count)
{
    return RIG_UNTIL(c->rig, (consumer_flush(c->consumer, false), c->delivered >= count),
                     ANSWER_MS);
}

/* ---- tests ---- */

static void pass_queue_barrier(struct consuming *c)
{
    consumer_flush(c->consumer, true);
    c->barrier = 0;
    consumer_queue_barrier(c->consumer, on_barrier, c);
    assert_true(RIG_UNTIL(c->rig, c->barrier == 1, ANSWER_MS));
}

/* More acks than a channel passes on to a quorum queue at any rate; then of four messages the first
 * is held, and the others wait behind it.
 */
static void ack_many(struct consuming *c)
{
    c->options.prefetch = 1; /* so that each is a frame */
    c->ack_at_once = true;
    start(c);
    publish(c, MANY_ACKS, 100);
    assert_true(until_delivered(c, MANY_ACKS));
    c->ack_at_once = false;
    publish(c, 4, 100);
    assert_true(until_delivered(c, MANY_ACKS + 1));
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 3, ANSWER_MS));
}

/* A barrier through the queue takes nothing from it: what comes to the probe, for which nobody else
 * has room, is not shown to the owner, and is there again afterwards. Where there were few acks
 * since, nothing comes to it.
 */
static void a_queue_barrier(void **state)
{
    struct consuming *c = *state;

    ack_many(c);
    pass_queue_barrier(c);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 3, 5000));
    settle_all(c, VERDICT_ACK);
    assert_true(until_delivered(c, MANY_ACKS + 2));
    assert_int_equal(c->redelivered, 1);
    pass_queue_barrier(c);
    c->ack_at_once = true;
    settle_all(c, VERDICT_ACK);
    assert_true(until_delivered(c, MANY_ACKS + 4));
    assert_int_equal(c->redelivered, 1);
    pass_queue_barrier(c);
    assert_int_equal(rig_messages(c->rig, c->f->queue), 0);
}

/* Behind a pause what came to the probe is there again once the channel ends. */
static void a_queue_barrier_behind_a_pause(void **state)
{
    struct consuming *c = *state;

    ack_many(c);
    consumer_pause(c->consumer, on_paused, c);
    assert_true(RIG_UNTIL(c->rig, c->paused == 1, ANSWER_MS));
    settle_all(c, VERDICT_ACK);
    pass_queue_barrier(c);
    assert_int_equal(c->delivered, MANY_ACKS + 1);
    consumer_free(c->consumer);
    c->consumer = NULL;
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 3, 5000));
    c->ack_at_once = true;
    start(c);
    assert_true(until_delivered(c, MANY_ACKS + 4));
    assert_int_equal(c->redelivered, 1);
}

/* Without a channel there is no barrier; one that is under way when it is lost is answered. */
static void a_lost_queue_barrier(void **state)
{
    struct consuming *c = *state;

    ack_many(c);
    rig_delete_queue(c->rig, c->f->queue);
    consumer_queue_barrier(c->consumer, on_barrier, c); /* 404 closes the channel */
    assert_true(RIG_UNTIL(c->rig, c->barrier != 0, ANSWER_MS));
    if (!broker_at_least(c->f->broker, 4, 3)) /* there it may be on another channel by now */
        assert_int_equal(c->barrier, -1);
    rig_declare_queue(c->rig, c->f->queue, "classic", c->f->dlq);
}

/* What is acked does not come back: nothing is left in the queue once the channel is closed. */
static void acked_messages_leave_the_queue(void **state)
{
    struct consuming *c = *state;
    struct consumer_stats stats;

    c->ack_at_once = true;
    start(c);
    publish(c, 5000, 256);
    assert_true(until_delivered(c, 5000));
    pass_barrier(c);
    consumer_stats(c->consumer, &stats);
    assert_int_equal(stats.delivered, 5000);
    assert_int_equal(stats.settled, 5000);
    assert_in_range(stats.ack_frames, 1, 4000);
    assert_int_equal(consumer_bytes(c->consumer), 0);
    consumer_free(c->consumer);
    c->consumer = NULL;
    assert_int_equal(rig_messages(c->rig, c->f->queue), 0);
    assert_int_equal(c->consuming, 1);
    assert_int_equal(c->interrupted, 0);
}

/* Bodies arrive whole whatever the number of frames, and empty ones arrive too. */
static void bodies_around_frame_max_arrive_whole(void **state)
{
    static const size_t sizes[] = {
        0, 1, FRAME_BODY_MAX - 1, FRAME_BODY_MAX, FRAME_BODY_MAX + 1, 2 * FRAME_BODY_MAX, 700001};
    const size_t count = sizeof sizes / sizeof *sizes;
    struct consuming *c = *state;
    uint8_t *body = malloc(700001);

    assert_non_null(body);
    for (size_t i = 0; i < 700001; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    start(c);
    for (size_t i = 0; i < count; i++)
        rig_publish(c->rig, c->f->queue, body, sizes[i]);
    assert_true(until_delivered(c, count));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(c->held[i]->body_len, sizes[i]);
        assert_memory_equal(delivery_body(c->held[i]), body, sizes[i]);
        assert_string_equal(delivery_routing_key(c->held[i]), c->f->queue);
        assert_string_equal(delivery_exchange(c->held[i]), "");
    }
    free(body);
}

/* A body above the maximum goes to the dead letters unread; what follows it is delivered. */
static void an_oversized_body_is_dead_lettered(void **state)
{
    struct consuming *c = *state;

    c->options.message_max = 200000;
    start(c);
    publish(c, 1, 200000);
    publish(c, 1, 200001);
    publish(c, 1, 10);
    assert_true(until_delivered(c, 2));
    assert_int_equal(c->unfit, 1);
    assert_int_equal(c->unfit_size, 200001);
    assert_int_equal(c->held[1]->body_len, 10);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->dlq) == 1, ANSWER_MS));
    assert_int_equal(c->interrupted, 0);
}

/* Anybody may publish headers nested deeper than a decoder should recurse: such a message goes to
 * the dead letters unread, and neither the connection nor what follows is harmed. */
static void deeply_nested_headers_are_dead_lettered(void **state)
{
    enum { DEPTH = 60 };
    struct consuming *c = *state;
    struct peer *peer = c->f->peer;
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
    start(c);
    peer_publish(peer, "", c->f->queue, "deep", 4, &properties);
    publish(c, 1, 10);
    assert_true(until_delivered(c, 1));
    assert_int_equal(c->unfit, 1);
    assert_non_null(strstr(c->why, "nested too deeply"));
    assert_string_equal(c->unfit_id, "deep-id");
    assert_int_equal(c->held[0]->body_len, 10);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->dlq) == 1, ANSWER_MS));
    assert_int_equal(c->rig->losses, 0);
}

/* A message with a header @name, a text of @size bytes. */
static void publish_headers(struct consuming *c, const char *name, size_t size)
{
    struct peer *peer = c->f->peer;
    char *text = malloc(size);
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(name)};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};

    assert_non_null(text);
    memset(text, 'h', size);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = (amqp_bytes_t){size, text};
    properties.headers = (amqp_table_t){1, &entry};
    peer_publish(peer, "", c->f->queue, "grown", 5, &properties);
    free(text);
}

/* Headers that fill a frame outgrow it when the broker adds its count: they come all the same. */
static void headers_outgrow_a_frame(void **state)
{
    struct consuming *c = *state;

    rig_delete_queue(c->rig, c->f->queue);
    rig_declare_queue(c->rig, c->f->queue, "quorum", c->f->dlq);
    start(c);
    publish_headers(c, "big", FRAME_BODY_MAX - HEADER_FIXED - 16);
    assert_true(until_delivered(c, 1));
    settle(c, 0, VERDICT_RETRY);
    assert_true(until_delivered(c, 2));
    assert_true(c->held[0]->redelivered);
    assert_true(c->held[0]->properties_len > FRAME_BODY_MAX - HEADER_FIXED);
    settle(c, 0, VERDICT_ACK);
    pass_barrier(c);
    assert_int_equal(c->rig->losses, 0);
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
    struct consuming *c = *state;
    struct peer *peer = c->f->peer;
    char *second = text("%s.second", c->f->queue);
    char *first = text("%s.first", c->f->queue);
    bool unfit;

    make_hop(peer, second, c->f->queue);
    make_hop(peer, first, second);
    start(c);
    publish_keys(peer, first);
    unfit = RIG_UNTIL(c->rig, c->unfit == 1 || c->rig->losses > 0, ANSWER_MS);
    peer_delete_alone(peer, first);
    peer_delete_alone(peer, second);
    peer_delete_exchange(peer, first);
    peer_delete_exchange(peer, second);
    free(first);
    free(second);

    assert_true(unfit);
    assert_non_null(strstr(c->why, "headers are larger"));
    assert_int_equal(c->unfit_size, 5);
    publish(c, 1, 10);
    assert_true(until_delivered(c, 1));
    assert_int_equal(c->held[0]->body_len, 10);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->dlq) == 1, ANSWER_MS));
    assert_int_equal(c->rig->losses, 0);
}

/* What is left stays unsettled, an unfit message, too; one hand-back returns all of it. */
static void what_is_left_is_handed_back(void **state)
{
    struct consuming *c = *state;
    char *body = calloc(1, 5000);

    assert_non_null(body);
    c->options.message_max = 1000;
    c->options.deliver_unfit = true;
    rig_publish(c->rig, c->f->queue, "small", 5);
    rig_publish(c->rig, c->f->queue, body, 5000);
    rig_publish(c->rig, c->f->queue, "acked", 5);
    start(c);
    assert_true(RIG_UNTIL(c->rig, c->held_count == 2 && c->unfit == 1, ANSWER_MS));
    assert_int_equal(rig_messages(c->rig, c->f->queue), 0);
    consumer_leave(c->consumer, c->held[0]);
    consumer_settle(c->consumer, c->held[1], VERDICT_ACK);
    c->held_count = 0;
    assert_int_equal(consumer_bytes(c->consumer), 0);
    consumer_pause(c->consumer, on_paused, c);
    assert_true(RIG_UNTIL(c->rig, c->paused, ANSWER_MS));
    consumer_hand_back(c->consumer);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 2, ANSWER_MS));
    assert_int_equal(rig_messages(c->rig, c->f->dlq), 0);
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
    struct consuming *c = *state;
    struct peer *peer = c->f->peer;
    unsigned next = 0;

    peer_delete_alone(peer, c->f->queue);
    peer_declare_with(peer, c->f->queue, "quorum", &limit, 1);
    peer_publish_many(peer, c->f->queue, "in-order", 100);
    start(c);
    assert_true(until_delivered(c, 100));
    consumer_pause(c->consumer, on_paused, c);
    assert_true(RIG_UNTIL(c->rig, c->paused, ANSWER_MS));
    consumer_hand_back(c->consumer);
    settle_all(c, VERDICT_HANDBACK);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 100, ANSWER_MS));
    assert_int_equal(peer_drain(peer, c->f->queue, in_order, &next), 100);
}

/* RabbitMQ 4.3 cancels a consumer that is late, and keeps it. What was late runs once more, on
 * another channel, where the only consumer is; what the late ones say is told to nobody. */
static void a_consumer_time_out(void **state)
{
    const amqp_table_entry_t timeout = number("x-consumer-timeout", 1000);
    struct consuming *c = *state;
    struct peer *peer = c->f->peer;
    struct consumer_stats stats;

    if (!broker_at_least(c->f->broker, 4, 3))
        skip();
    peer_delete_alone(peer, c->f->queue);
    peer_declare_with(peer, c->f->queue, "quorum", &timeout, 1);
    peer_publish_many(peer, c->f->queue, "late", 3);
    start(c);
    assert_true(until_delivered(c, 3));
    assert_true(until_delivered(c, 6));
    assert_int_equal(c->interrupted, 1);
    assert_non_null(strstr(c->reason, "consumer time-out"));
    for (int i = 5; i >= 0; i--) /* the later three are in time */
        settle(c, (size_t)i, VERDICT_ACK);
    pass_barrier(c);
    consumer_stats(c->consumer, &stats);
    assert_int_equal(stats.stale, 3);
    assert_true(RIG_UNTIL(c->rig, peer_consumers(peer, c->f->queue) == 1, ANSWER_MS));
    peer_publish_many(peer, c->f->queue, "more", 1);
    assert_true(until_delivered(c, 7));
    assert_int_equal(c->delivered, 7);
    settle_all(c, VERDICT_ACK);
}

/* ... which is not said of a queue that was deleted meanwhile. */
static void a_queue_deleted_under_messages(void **state)
{
    struct consuming *c = *state;
    struct peer *peer = c->f->peer;

    peer_delete_alone(peer, c->f->queue);
    peer_declare(peer, c->f->queue, "quorum");
    peer_publish_many(peer, c->f->queue, "late", 1);
    start(c);
    assert_true(until_delivered(c, 1));
    peer_delete_alone(peer, c->f->queue);
    assert_true(RIG_UNTIL(c->rig, c->interrupted > 0, ANSWER_MS));
    assert_non_null(strstr(c->reason, "its queue was deleted"));
    settle_all(c, VERDICT_ACK);
}

/* Reject dead-letters; retry and hand-back deliver again, flagged as redelivered. */
static void verdicts_do_what_they_say(void **state)
{
    struct consuming *c = *state;

    start(c);
    publish(c, 3, 10);
    assert_true(until_delivered(c, 3));
    settle(c, 2, VERDICT_REJECT);
    settle(c, 1, VERDICT_RETRY);
    settle(c, 0, VERDICT_HANDBACK);
    assert_true(until_delivered(c, 5));
    assert_int_equal(c->redelivered, 2);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->dlq) == 1, ANSWER_MS));
}

static void settle_in_random_order(struct consuming *c)
{
    struct random random;

    random_init(&random, 42);
    c->options.prefetch = 300;
    start(c);
    publish(c, 20000, 64);
    while (c->delivered < 20000) {
        size_t some = c->held_count / 2;

        while (some-- > 0)
            settle(c, random_upto(&random, c->held_count - 1), VERDICT_ACK);
        assert_true(until_delivered(c, c->delivered + 1));
    }
    settle_all(c, VERDICT_ACK);
    pass_barrier(c);
    assert_int_equal(c->interrupted, 0);
    assert_int_equal(c->redelivered, 0);
    assert_int_equal(rig_messages(c->rig, c->f->queue), 0);
}

/* Settled in random order at full speed: the broker takes offence at nothing. */
static void random_order_on_a_classic_queue(void **state)
{
    settle_in_random_order(*state);
}

static void random_order_on_a_quorum_queue(void **state)
{
    struct consuming *c = *state;

    rig_delete_queue(c->rig, c->f->queue);
    rig_declare_queue(c->rig, c->f->queue, "quorum", c->f->dlq);
    settle_in_random_order(c);
}

/* One message that is never finished does not stop the others, with as small a window as two. */
static void a_stuck_message_does_not_starve_the_others(void **state)
{
    struct consuming *c = *state;

    c->options.prefetch = 2;
    start(c);
    publish(c, 1, 10);
    assert_true(until_delivered(c, 1));
    c->ack_at_once = true;
    publish(c, 200, 10);
    assert_true(until_delivered(c, 201));
    assert_int_equal(c->held_count, 1);
}

/* Above prefetch_bytes the broker stops sending, at half of it it goes on, and all arrive. */
static void bytes_are_bounded(void **state)
{
    struct consuming *c = *state;
    struct consumer_stats stats;

    c->options.prefetch = 10;
    c->options.prefetch_bytes = 65536;
    start(c);
    publish(c, 200, 20000);
    while (c->delivered < 200) {
        assert_true(until_delivered(c, c->delivered + 1));
        if (c->held_count >= 4)
            settle_all(c, VERDICT_ACK);
        else if (c->delivered > 196)
            settle_all(c, VERDICT_ACK);
    }
    consumer_stats(c->consumer, &stats);
    assert_true(stats.byte_pauses > 0);
    /* What was on its way when the broker was asked to stop still comes: at most the prefetch. */
    assert_in_range(c->bytes_most, 65536, 65536 + 10 * 21000);
    assert_int_equal(c->consuming, 1);
    assert_int_equal(c->interrupted, 0);
}

/* A message above the byte bound is delivered all the same, alone. */
static void one_message_above_the_byte_bound_passes(void **state)
{
    struct consuming *c = *state;

    c->options.prefetch_bytes = 1000;
    c->ack_at_once = true;
    start(c);
    publish(c, 3, 5000);
    assert_true(until_delivered(c, 3));
}

/* After the pause is acknowledged nothing comes, and what came can be settled; then it goes on. */
static void pause_and_resume(void **state)
{
    struct consuming *c = *state;

    start(c);
    publish(c, 10, 10);
    assert_true(until_delivered(c, 10));
    consumer_pause(c->consumer, on_paused, c);
    assert_int_equal(c->paused, 0);
    assert_true(RIG_UNTIL(c->rig, c->paused == 1, ANSWER_MS));
    settle_all(c, VERDICT_ACK);
    publish(c, 5, 10);
    pass_barrier(c);
    assert_true(RIG_UNTIL(c->rig, rig_messages(c->rig, c->f->queue) == 5,
                          ANSWER_MS)); /* a count may overtake what it counts */
    assert_int_equal(c->delivered, 10);
    consumer_pause(c->consumer, on_paused, c);
    assert_int_equal(c->paused, 2); /* at once */

    consumer_resume(c->consumer);
    assert_true(until_delivered(c, 15));
    assert_int_equal(c->redelivered, 0);
    assert_int_equal(c->consuming, 2);
}

/* Pause and resume faster than the broker answers end in a subscription, and once only. */
static void quick_pauses_do_not_confuse(void **state)
{
    struct consuming *c = *state;

    start(c);
    for (int i = 0; i < 20; i++) {
        consumer_pause(c->consumer, on_paused, c);
        if (i % 3 == 0)
            rig_turn(c->rig);
        consumer_resume(c->consumer);
        if (i % 7 == 0)
            rig_turn(c->rig);
    }
    publish(c, 50, 10);
    assert_true(until_delivered(c, 50));
    assert_true(RIG_UNTIL(c->rig, c->paused == 20, ANSWER_MS));
    assert_int_equal(c->interrupted, 0);
    assert_int_equal(c->delivered, 50);
}

/* The queue is deleted: told once what happened, retried, and consuming when it is back. */
static void a_deleted_queue_is_waited_for(void **state)
{
    struct consuming *c = *state;
    struct consumer_stats stats;

    start(c);
    assert_true(RIG_UNTIL(c->rig, c->consuming == 1, ANSWER_MS));
    rig_delete_queue(c->rig, c->f->queue);
    assert_true(RIG_UNTIL(c->rig, c->interrupted == 1, ANSWER_MS));
    assert_non_null(strstr(c->reason, "cancelled"));
    assert_true(RIG_UNTIL(c->rig, c->interrupted == 2, ANSWER_MS));
    assert_non_null(strstr(c->reason, "404 NOT_FOUND"));

    rig_declare_queue(c->rig, c->f->queue, "classic", c->f->dlq);
    assert_true(RIG_UNTIL(c->rig, c->consuming == 2, ANSWER_MS));
    publish(c, 1, 10);
    assert_true(until_delivered(c, 1));
    consumer_stats(c->consumer, &stats);
    assert_int_equal(stats.recoveries, 1);
}

/* A queue that is not there is asked for again and again, and reported once. */
static void a_missing_queue_is_reported_once(void **state)
{
    struct consuming *c = *state;
    uint32_t generation;

    rig_delete_queue(c->rig, c->f->queue);
    start(c);
    assert_true(RIG_UNTIL(c->rig, c->interrupted == 1, ANSWER_MS));
    generation = 0;
    for (int tries = 0; tries < 2; tries++) {
        assert_true(RIG_UNTIL(c->rig, consumer_generation(c->consumer) > generation, ANSWER_MS));
        generation = consumer_generation(c->consumer);
    }
    assert_int_equal(c->interrupted, 1);
    rig_declare_queue(c->rig, c->f->queue, "quorum", NULL);
    assert_true(RIG_UNTIL(c->rig, c->consuming == 1, ANSWER_MS));
}

/* The connection is closed by the broker: all comes again, and old deliveries settle nothing. */
static void after_a_lost_connection_all_comes_again(void **state)
{
    struct consuming *c = *state;
    struct consumer_stats stats;

    start(c);
    publish(c, 10, 10);
    assert_true(until_delivered(c, 10));
    assert_int_equal(broker_close_connections(c->f->broker, c->rig->name), 1);
    consumer_barrier(c->consumer, on_barrier, c);
    assert_true(RIG_UNTIL(c->rig, c->barrier == -1, ANSWER_MS));
    assert_int_equal(consumer_generation(c->consumer), 0);
    settle(c, 0, VERDICT_ACK);
    settle(c, 0, VERDICT_REJECT);

    assert_true(until_delivered(c, 20));
    assert_int_equal(c->redelivered, 10);
    assert_int_equal(consumer_generation(c->consumer), 2);
    settle_all(c, VERDICT_ACK);
    pass_barrier(c);
    consumer_stats(c->consumer, &stats);
    assert_int_equal(stats.stale, 10);
    assert_int_equal(stats.recoveries, 1);
    assert_int_equal(c->consuming, 2);
    assert_int_equal(c->interrupted, 0);
    assert_int_equal(consumer_bytes(c->consumer), 0);
    assert_int_equal(rig_messages(c->rig, c->f->queue), 0);
    assert_int_equal(rig_messages(c->rig, c->f->dlq), 0);
}

/* Arguments of the subscription reach the broker, and outlive the caller's strings. */
static void arguments_are_copied_and_sent(void **state)
{
    struct consuming *c = *state;
    char *name = text("%s", "x-priority");
    struct warren_field field = warren_field_i64(name, 7);
    struct warren_table arguments = {&field, 1};
    char *found;

    c->options.arguments = &arguments;
    assert_int_equal(consumer_new(c->rig->connection, &c->options, &events, c, &c->consumer),
                     WARREN_OK);
    memset(name, 'z', strlen(name));
    free(name);
    consumer_start(c->consumer);
    assert_true(RIG_UNTIL(c->rig, c->consuming == 1, ANSWER_MS));
    found = broker_eval(c->f->broker,
                        "lists:flatten(io_lib:format(\"~p\", [[proplists:get_value(arguments, C) "
                        "|| C <- rabbit_amqqueue:consumers_all(<<\"/\">>), element(4, "
                        "proplists:get_value(queue_name, C)) =:= <<\"%s\">>]])).",
                        c->f->queue);
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
