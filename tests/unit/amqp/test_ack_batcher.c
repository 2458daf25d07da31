/* test_ack_batcher.c - the batcher against a broker that remembers what is outstanding and takes
 * offence (406) at every ack that RabbitMQ would refuse.
 */
#include "amqp/consumer/ack_batcher.h"
#include "base/random.h"
#include "support/test.h"

#define TAGS_MAX 400000
#define AGE_MS   10

enum at_broker { NEVER_SENT, OUTSTANDING, SETTLED_ACK, SETTLED_NEGATIVE };

struct broker {
    uint8_t tags[TAGS_MAX];     /* enum at_broker */
    uint8_t verdicts[TAGS_MAX]; /* what the worker decided, plus 1; 0: being handled */
    uint64_t next;
    uint64_t lowest; /* no outstanding tag is lower */
    uint32_t outstanding;
    uint32_t frames;
    uint64_t last_tag;
    bool last_multiple;
    enum verdict last_verdict;
    bool refuse; /* the next sends fail */
};

struct fixture {
    struct ack_batcher batcher;
    struct broker broker;
};

static void broker_settle(struct broker *broker, uint64_t tag, enum at_broker how)
{
    assert_int_equal(broker->tags[tag], OUTSTANDING);
    broker->tags[tag] = (uint8_t)how;
    broker->outstanding--;
}

/* RabbitMQ closes the channel for an unknown tag, one that was settled before, and tag 0. */
static enum warren_status broker_ack(void *user, uint64_t tag, bool multiple)
{
    struct broker *broker = user;

    if (broker->refuse)
        return WARREN_ECLOSED;
    broker->frames++;
    broker->last_tag = tag;
    broker->last_multiple = multiple;
    assert_in_range(tag, 1, broker->next - 1);
    assert_int_equal(broker->tags[tag], OUTSTANDING);
    for (uint64_t t = multiple ? broker->lowest : tag; t <= tag; t++) {
        if (broker->tags[t] != OUTSTANDING)
            continue;
        assert_int_equal(broker->verdicts[t], VERDICT_ACK + 1); /* else: a lost message */
        broker_settle(broker, t, SETTLED_ACK);
    }
    while (broker->lowest < broker->next && broker->tags[broker->lowest] != OUTSTANDING)
        broker->lowest++;
    return WARREN_OK;
}

static enum warren_status broker_negative(void *user, uint64_t tag, enum verdict verdict)
{
    struct broker *broker = user;

    if (broker->refuse)
        return WARREN_ECLOSED;
    broker->frames++;
    broker->last_tag = tag;
    broker->last_verdict = verdict;
    assert_in_range(tag, 1, broker->next - 1);
    assert_int_equal(broker->verdicts[tag], verdict + 1);
    broker_settle(broker, tag, SETTLED_NEGATIVE);
    return WARREN_OK;
}

static enum warren_status broker_hand_back(void *user, uint64_t tag)
{
    struct broker *broker = user;

    if (broker->refuse)
        return WARREN_ECLOSED;
    broker->frames++;
    broker->last_tag = tag;
    assert_in_range(tag, 1, broker->next - 1);
    assert_int_equal(broker->tags[tag], OUTSTANDING);
    for (uint64_t t = broker->lowest; t <= tag; t++) {
        if (broker->tags[t] == OUTSTANDING)
            broker_settle(broker, t, SETTLED_NEGATIVE);
    }
    return WARREN_OK;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct ack_sink sink = {broker_ack, broker_negative, NULL, broker_hand_back};

    if (!fixture)
        return -1;
    sink.user = &fixture->broker;
    fixture->broker.next = fixture->broker.lowest = 1;
    if (ack_batcher_init(&fixture->batcher, &sink) != WARREN_OK)
        return -1;
    ack_batcher_restart(&fixture->batcher, 1);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    ack_batcher_done(&fixture->batcher);
    free(fixture);
    return 0;
}

static void deliver(struct fixture *fixture, uint32_t count)
{
    struct broker *broker = &fixture->broker;

    while (count-- > 0) {
        assert_in_range(broker->next, 1, TAGS_MAX - 1);
        broker->tags[broker->next] = OUTSTANDING;
        broker->outstanding++;
        assert_int_equal(ack_batcher_delivered(&fixture->batcher, broker->next++), WARREN_OK);
    }
}

static void settle(struct fixture *fixture, uint64_t tag, enum verdict verdict, int64_t now_ms)
{
    fixture->broker.verdicts[tag] = (uint8_t)(verdict + 1);
    assert_int_equal(
        ack_batcher_settle(&fixture->batcher, fixture->batcher.generation, tag, verdict, now_ms),
        WARREN_OK);
}

static void ack(struct fixture *fixture, uint64_t tag)
{
    settle(fixture, tag, VERDICT_ACK, 0);
}

/* Tags 3, 1, 2 settle out of order and leave as one multiple ack. */
static void out_of_order_acks_become_one_frame(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 3);
    ack(fixture, 3);
    ack(fixture, 1);
    ack(fixture, 2);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 3);
    assert_true(fixture->broker.last_multiple);
    assert_int_equal(fixture->broker.outstanding, 0);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);
}

/* A single ack does not ask the broker to look for others. */
static void one_ack_is_not_multiple(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 2);
    ack(fixture, 1);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 1);
    assert_false(fixture->broker.last_multiple);
    assert_int_equal(fixture->broker.outstanding, 1);
}

/* What is behind a message that is still being handled stays, until it is old enough. */
static void a_gap_holds_back_until_the_age_limit(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 5);
    settle(fixture, 1, VERDICT_ACK, 100);
    settle(fixture, 3, VERDICT_ACK, 100);
    settle(fixture, 5, VERDICT_ACK, 104);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 105, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 1);
    assert_int_equal(fixture->batcher.unsent, 2);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 109, AGE_MS), 0);

    assert_int_equal(ack_batcher_flush(&fixture->batcher, 110, AGE_MS), 1); /* 3 alone is due */
    assert_int_equal(fixture->broker.last_tag, 3);
    assert_false(fixture->broker.last_multiple);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 113, AGE_MS), 0);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 114, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 5);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 2);
}

/* A multiple ack never names a tag that left singly before. */
static void a_tag_that_left_singly_is_not_named_again(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 3);
    settle(fixture, 3, VERDICT_ACK, 0);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, AGE_MS, AGE_MS), 1);
    settle(fixture, 1, VERDICT_ACK, AGE_MS);
    settle(fixture, 2, VERDICT_ACK, AGE_MS);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, AGE_MS, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 2);
    assert_true(fixture->broker.last_multiple);
    assert_int_equal(fixture->broker.outstanding, 0);
}

/* Negative verdicts leave at once; the acks around them still share a frame. */
static void rejected_tags_do_not_break_the_prefix(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 4);
    ack(fixture, 1);
    settle(fixture, 2, VERDICT_REJECT, 0);
    assert_int_equal(fixture->broker.frames, 1);
    assert_int_equal(fixture->broker.last_verdict, VERDICT_REJECT);
    ack(fixture, 3);
    settle(fixture, 4, VERDICT_HANDBACK, 0);
    assert_int_equal(fixture->broker.last_verdict, VERDICT_HANDBACK);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
    assert_int_equal(fixture->broker.last_tag, 3); /* not 4, of which the broker knows nothing */
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);
    assert_int_equal(fixture->broker.outstanding, 0);
}

/* If everything was rejected there is nothing to ack. */
static void only_negative_verdicts_send_no_ack(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 2);
    settle(fixture, 2, VERDICT_RETRY, 0);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 1);
    settle(fixture, 1, VERDICT_RETRY, 0);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 99, 0), 0);
    assert_int_equal(fixture->batcher.acks_sent, 0);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);
}

/* A tag settles once, whatever became of it, and one that never came does not settle. */
static void settling_twice_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct ack_batcher *batcher = &fixture->batcher;

    deliver(fixture, 4);
    ack(fixture, 1);
    assert_int_equal(ack_batcher_settle(batcher, 1, 1, VERDICT_ACK, 0), WARREN_EINVAL);
    ack_batcher_flush(batcher, 0, AGE_MS);
    assert_int_equal(ack_batcher_settle(batcher, 1, 1, VERDICT_ACK, 0), WARREN_EINVAL);
    settle(fixture, 3, VERDICT_REJECT, 0);
    assert_int_equal(ack_batcher_settle(batcher, 1, 3, VERDICT_ACK, 0), WARREN_EINVAL);
    assert_int_equal(ack_batcher_settle(batcher, 1, 0, VERDICT_ACK, 0), WARREN_EINVAL);
    assert_int_equal(ack_batcher_settle(batcher, 1, 5, VERDICT_ACK, 0), WARREN_EINVAL);
    assert_int_equal(batcher->settled, 2);
    assert_int_equal(fixture->broker.frames, 2);
}

/* Deliveries of a channel that is gone are dropped: their tags mean other messages now. */
static void stale_generations_are_counted_and_dropped(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 3);
    ack(fixture, 1);
    ack_batcher_restart(&fixture->batcher, 2);
    memset(&fixture->broker, 0, sizeof fixture->broker);
    fixture->broker.next = fixture->broker.lowest = 1;
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);

    deliver(fixture, 2);
    assert_int_equal(ack_batcher_settle(&fixture->batcher, 1, 2, VERDICT_ACK, 0), WARREN_OK);
    assert_int_equal(ack_batcher_settle(&fixture->batcher, 1, 3, VERDICT_REJECT, 0), WARREN_OK);
    assert_int_equal(fixture->batcher.stale, 2);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 99, 0), 0);
    assert_int_equal(fixture->broker.outstanding, 2);
    ack(fixture, 1);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
}

/* Tags come as 1, 2, 3, ...: anything else is a broken peer. */
static void a_tag_out_of_sequence_is_a_protocol_error(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(ack_batcher_delivered(&fixture->batcher, 0), WARREN_EPROTOCOL);
    assert_int_equal(ack_batcher_delivered(&fixture->batcher, 2), WARREN_EPROTOCOL);
    deliver(fixture, 1);
    assert_int_equal(ack_batcher_delivered(&fixture->batcher, 1), WARREN_EPROTOCOL);
}

/* The ring grows with the prefetch, around its own end as well, and forgets nothing. */
static void the_ring_grows(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 40);
    for (uint64_t tag = 1; tag <= 40; tag++)
        ack(fixture, tag);
    ack_batcher_flush(&fixture->batcher, 0, AGE_MS);
    deliver(fixture, 65535);
    assert_int_equal(fixture->batcher.capacity, 65536);
    for (uint64_t tag = 41 + 65534; tag > 40; tag--)
        ack(fixture, tag);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
    assert_int_equal(fixture->broker.outstanding, 0);
}

/* A peer that ignores every prefetch runs into the bound. */
static void more_than_any_prefetch_is_a_protocol_error(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, ACK_BATCHER_MAX);
    assert_int_equal(fixture->batcher.capacity, ACK_BATCHER_MAX);
    assert_int_equal(ack_batcher_delivered(&fixture->batcher, fixture->broker.next),
                     WARREN_EPROTOCOL);
}

/* One message that is stuck for long: memory stays flat, and both it and the others settle. */
static void a_stuck_message_does_not_grow_the_ring(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 1);
    for (uint64_t tag = 2; tag < TAGS_MAX - 1; tag++) {
        deliver(fixture, 1);
        settle(fixture, tag, VERDICT_ACK, 0);
        ack_batcher_flush(&fixture->batcher, 0, 0);
    }
    assert_int_equal(fixture->batcher.capacity, 64);
    assert_int_equal(fixture->broker.outstanding, 1);
    ack(fixture, 1);
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, AGE_MS), 1);
    assert_int_equal(fixture->broker.outstanding, 0);
}

/* The channel closes under a flush: the batcher stops at the first frame that is not taken. */
static void a_refused_frame_ends_the_flush(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 5);
    ack(fixture, 2);
    ack(fixture, 3);
    ack(fixture, 5);
    fixture->broker.refuse = true;
    assert_int_equal(ack_batcher_flush(&fixture->batcher, 0, 0), 1);
    fixture->broker.verdicts[4] = VERDICT_REJECT + 1;
    assert_int_equal(ack_batcher_settle(&fixture->batcher, 1, 4, VERDICT_REJECT, 0),
                     WARREN_ECLOSED);
}

/* A random tag that is being handled; 0 if there is none. */
static uint64_t any_pending(struct broker *broker, struct random *random)
{
    uint64_t span = broker->next - broker->lowest;
    uint64_t start = span ? random_upto(random, span - 1) : 0;

    for (uint64_t i = 0; i < span; i++) {
        uint64_t tag = broker->lowest + (start + i) % span;

        if (broker->tags[tag] == OUTSTANDING && broker->verdicts[tag] == 0)
            return tag;
    }
    return 0;
}

static void settle_any(struct fixture *fixture, struct random *random, int64_t now_ms)
{
    uint64_t tag = any_pending(&fixture->broker, random);
    uint64_t luck = random_upto(random, 9);

    if (tag == 0 || (tag == fixture->broker.lowest && luck < 5)) /* gaps that last */
        return;
    settle(fixture, tag, luck < 8 ? VERDICT_ACK : (enum verdict)random_upto(random, 3), now_ms);
    assert_int_equal(ack_batcher_settle(&fixture->batcher, fixture->batcher.generation, tag,
                                        VERDICT_ACK, now_ms),
                     WARREN_EINVAL);
}

static void finish_all(struct fixture *fixture, int64_t now_ms)
{
    struct broker *broker = &fixture->broker;

    for (uint64_t tag = 1; tag < broker->next; tag++)
        if (broker->verdicts[tag] == 0)
            settle(fixture, tag, VERDICT_ACK, now_ms);
    ack_batcher_flush(&fixture->batcher, now_ms, 0);
    assert_int_equal(broker->outstanding, 0);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);
    assert_int_equal(fixture->batcher.unsent, 0);
}

static void one_random_run(struct fixture *fixture, uint64_t seed)
{
    struct broker *broker = &fixture->broker;
    struct random random;
    uint32_t prefetch;
    int64_t now_ms = 0;

    random_init(&random, seed);
    memset(broker, 0, sizeof *broker);
    broker->next = broker->lowest = 1;
    ack_batcher_restart(&fixture->batcher, (uint32_t)seed);
    prefetch = (uint32_t)random_upto(&random, 299) + 1;
    for (int step = 0; step < 4000; step++) {
        uint64_t luck = random_upto(&random, 99);

        if (luck < 40 && broker->outstanding < prefetch)
            deliver(fixture, 1);
        else if (luck < 92)
            settle_any(fixture, &random, now_ms);
        else if (luck < 98)
            ack_batcher_flush(&fixture->batcher, now_ms, AGE_MS);
        else
            now_ms += (int64_t)random_upto(&random, AGE_MS);
    }
    finish_all(fixture, now_ms);
}

/* Whatever the order of events, no ack is illegal, none is early, and none is forgotten. */
static void random_runs_never_offend_the_broker(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        one_random_run(*state, seed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What is left is handed back with one frame behind the acks, and settling it then says no more. */
static void one_frame_hands_back_the_rest(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 10);
    ack(fixture, 1);
    ack(fixture, 5);
    settle(fixture, 7, VERDICT_REJECT, 0);
    ack_batcher_flush(&fixture->batcher, 0, 0);
    fixture->broker.frames = 0;
    assert_int_equal(ack_batcher_hand_back(&fixture->batcher), WARREN_OK);
    assert_int_equal(fixture->broker.frames, 1);
    assert_int_equal(fixture->broker.last_tag, 10);
    assert_int_equal(fixture->broker.outstanding, 0);
    for (uint64_t tag = 2; tag <= 10; tag++) {
        if (tag != 5 && tag != 7)
            settle(fixture, tag, VERDICT_HANDBACK, 0);
    }
    assert_int_equal(fixture->broker.frames, 1);
    assert_int_equal(ack_batcher_outstanding(&fixture->batcher), 0);
    assert_int_equal(ack_batcher_hand_back(&fixture->batcher), WARREN_OK);
    assert_int_equal(fixture->broker.frames, 1);
}

/* While an ack waits to be sent nothing is handed back: the nack would take its message along. */
static void hand_back_waits_for_acks(void **state)
{
    struct fixture *fixture = *state;

    deliver(fixture, 3);
    ack(fixture, 2);
    assert_int_equal(ack_batcher_hand_back(&fixture->batcher), WARREN_ECLOSED);
    assert_int_equal(fixture->broker.frames, 0);
    assert_int_equal(fixture->broker.outstanding, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(out_of_order_acks_become_one_frame),
        TEST(one_ack_is_not_multiple),
        TEST(a_gap_holds_back_until_the_age_limit),
        TEST(a_tag_that_left_singly_is_not_named_again),
        TEST(rejected_tags_do_not_break_the_prefix),
        TEST(only_negative_verdicts_send_no_ack),
        TEST(settling_twice_is_refused),
        TEST(stale_generations_are_counted_and_dropped),
        TEST(a_tag_out_of_sequence_is_a_protocol_error),
        TEST(the_ring_grows),
        TEST(more_than_any_prefetch_is_a_protocol_error),
        TEST(a_stuck_message_does_not_grow_the_ring),
        TEST(a_refused_frame_ends_the_flush),
        TEST(random_runs_never_offend_the_broker),
        TEST(one_frame_hands_back_the_rest),
        TEST(hand_back_waits_for_acks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
