/* test_fault_delay.c - the delay queues by the clock, and with a broker that dies. */
#include "delay_fixture.h"

/* How far from the order of their due times they may come: what was promised. */
#define DISORDER_MS 2000
#define LATE_MS     20000 /* on a busy machine */

#define THOUSAND  1000
#define SPREAD_MS 16000

/* Take what is there off the queue; bodies are numbers of @sent. @return how many came first now */
static unsigned take_arrived(struct peer *peer, const char *queue, struct sent *sent,
                             unsigned count)
{
    struct peer_message message;
    unsigned fresh = 0;

    while (peer_get(peer, queue, &message)) {
        unsigned number = (unsigned)strtoul(message.body, NULL, 10);

        assert_in_range(number, 0, count - 1);
        if (sent[number].arrivals++ == 0) {
            sent[number].arrived_ms = now_ms();
            fresh++;
        }
        peer_message_done(&message);
    }
    return fresh;
}

/* So many of them have come within @ms. */
static bool all_arrive(struct peer *peer, const char *queue, struct sent *sent, unsigned count,
                       int64_t ms)
{
    unsigned arrived = 0;

    for (unsigned i = 0; i < count; i++)
        arrived += sent[i].arrivals > 0;
    return WAIT_FOR((arrived += take_arrived(peer, queue, sent, count)) == count, ms);
}

static void publish_all(struct fixture *f, struct sent *sent, unsigned count, int64_t spread_ms)
{
    char body[16];

    for (unsigned i = 0; i < count; i++) {
        unsigned shuffled = (unsigned)((uint64_t)i * 617 % count); /* a prime: each number once */

        snprintf(body, sizeof body, "%u", shuffled);
        send_later(f->publisher, &sent[shuffled], "", f->queue, body,
                   (shuffled + 1) * spread_ms / count);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_true(has_ended(&sent[i]));
        assert_int_equal(sent[i].result, WARREN_CONFIRMED);
        assert_int_equal(sent[i].receipts, 1);
    }
}

/* A thousand different delays, published in another order than they are due in: none comes before
 * it is due, and they come in the order of their due times within two seconds. */
static void a_thousand_delays_come_when_they_are_due(void **state)
{
    struct fixture *f = *state;
    struct sent *sent = calloc(THOUSAND, sizeof *sent);
    struct due *order = calloc(THOUSAND, sizeof *order);
    int64_t latest_ms = 0;
    int64_t disorder_ms;
    char *queues;

    assert_non_null(sent);
    assert_non_null(order);
    /* The levels exist: what is measured is the delay. */
    assert_int_equal(send_and_wait(f, "", f->queue, "0", SPREAD_MS * 5 / 4, &sent[0]),
                     WARREN_CONFIRMED);
    memset(sent, 0, THOUSAND * sizeof *sent);
    publish_all(f, sent, THOUSAND, SPREAD_MS);
    assert_true(all_arrive(f->peer, f->queue, sent, THOUSAND, SPREAD_MS + PATIENCE_MS));
    for (unsigned i = 0; i < THOUSAND; i++) {
        int64_t late_ms = sent[i].arrived_ms - sent[i].confirmed_ms - sent[i].delay_ms;

        assert_true(sent[i].arrived_ms - sent[i].published_ms >= sent[i].delay_ms);
        if (late_ms > LATE_MS)
            fail_msg("a delay of %lld ms was late by %lld ms", (long long)sent[i].delay_ms,
                     (long long)late_ms);
        latest_ms = late_ms > latest_ms ? late_ms : latest_ms;
        order[i].due_ms = sent[i].confirmed_ms + sent[i].delay_ms;
        order[i].came_ms = sent[i].arrived_ms;
    }
    disorder_ms = due_disorder_ms(order, THOUSAND);
    assert_in_range(disorder_ms, 0, DISORDER_MS);
    queues = broker_eval(f->broker, "length(rabbit_amqqueue:list(<<\"%s\">>)).", f->vhost);
    printf(
        "f->broker, quorum: %u delays up to %d ms; %s queues; latest by %lld ms, out of order by "
        "%lld ms\n",
        THOUSAND, SPREAD_MS, queues, (long long)latest_ms, (long long)disorder_ms);
    free(queues);
    free(order);
    free(sent);
}

static void kill_broker(struct fixture *f)
{
    peer_free(f->peer);
    f->peer = NULL;
    broker_kill(f->broker);
    broker_do(f->broker, "start");
    f->peer = peer_new(f->uri);
}

/* The broker is killed twice while messages wait in every level and move between them: each comes,
 * none before its time. The first kill waits for the first message, for RabbitMQ 3.10 forgets a
 * quorum queue that was made within half a second before it dies, with all that is in it. */
static void they_survive_the_death_of_the_broker(void **state)
{
    static const unsigned count = 300;
    struct fixture *f = *state;
    struct sent *sent = calloc(count, sizeof *sent);
    unsigned duplicates = 0;

    assert_non_null(sent);
    publish_all(f, sent, count, 15000);
    for (unsigned kills = 1; kills <= 2; kills++) {
        assert_true(WAIT_FOR(take_arrived(f->peer, f->queue, sent, count) > 0, PATIENCE_MS));
        kill_broker(f);
    }
    assert_true(all_arrive(f->peer, f->queue, sent, count, 3 * PATIENCE_MS));
    for (unsigned i = 0; i < count; i++) {
        assert_true(sent[i].arrived_ms - sent[i].published_ms >= sent[i].delay_ms);
        duplicates += sent[i].arrivals - 1;
    }
    printf("f->broker, quorum: %u delayed, 2 SIGKILL; lost 0, duplicate deliveries %u\n", count,
           duplicates);
    free(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_delays_come_when_they_are_due),
        TEST(they_survive_the_death_of_the_broker),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
