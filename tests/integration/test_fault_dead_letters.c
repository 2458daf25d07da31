/* test_fault_dead_letters.c - a broker that dies while messages are being dead-lettered. Each of
 * them ends in the dead-letter queue, at least once; on a node of its own.
 */
#include "support/fixture.h"

#define LONG_MS  (2 * PATIENCE_MS)
#define COUNT    3000
#define KILLS    2
#define PREFETCH 50

static unsigned copies[COUNT];
static unsigned unexpected;

static void note(const struct peer_message *message, void *user)
{
    unsigned number;

    (void)user;
    if (sscanf(message->message_id, "dead-%u", &number) == 1 && number < COUNT)
        copies[number]++;
    else
        unexpected++;
}

/* RabbitMQ writes what was declared to its disk some time later; what happens before is not meant
 * here. */
static void declare_for_good(struct fixture *f)
{
    worker_consume(f->worker, 1);
    assert_int_equal(worker_stop(f->worker), 0);
    proc_free(f->worker->proc);
    f->worker->proc = NULL;
    free(broker_eval(f->broker, "catch mnesia:sync_log(), catch mnesia:dump_log(), ok."));
}

/* Take what is there. @return how many messages have no letter yet */
static unsigned missing(struct fixture *f)
{
    unsigned none = 0;

    peer_drain(f->peer, f->dlq, note, NULL);
    for (unsigned i = 0; i < COUNT; i++)
        none += copies[i] == 0;
    return none;
}

/* Letters more than messages, and messages that still stand in their queue. */
static unsigned doubled(struct fixture *f)
{
    unsigned more = peer_drain(f->peer, f->queue, NULL, NULL);

    for (unsigned i = 0; i < COUNT; i++)
        more += copies[i] > 1 ? copies[i] - 1 : 0;
    return more;
}

static void kill_broker(struct fixture *f)
{
    peer_free(f->peer);
    f->peer = NULL;
    broker_kill(f->broker);
    broker_do(f->broker, "start");
    f->peer = peer_new(f->broker->uri);
}

/* The broker dies twice with copies on their way, stored or not, confirmed or not: no message is
 * lost, and no more are doubled than were unsettled or unconfirmed then. */
static void a_broker_that_dies_loses_no_dead_letter(void **state)
{
    struct fixture *f = *state;
    unsigned lost;
    unsigned twice;

    f->worker = worker_new(f->broker->uri,
                           "consumer: {prefetch: %d, concurrency: 2}\n"
                           "topology: {queues: [{name: %s}]}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, outcome: reject, delay: 2ms}\n",
                           PREFETCH, f->queue, f->queue);
    declare_for_good(f);
    peer_publish_many(f->peer, f->queue, "dead", COUNT);
    worker_run(f->worker, NULL);
    for (int i = 0; i < KILLS; i++) {
        int goal = COUNT / (KILLS + 1) * (i + 1);

        assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) >= goal, LONG_MS));
        kill_broker(f);
    }
    assert_true(WAIT_FOR(missing(f) == 0, LONG_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    lost = missing(f);
    twice = doubled(f);
    printf("broker %s, quorum: messages %d; dead-lettered twice %u; lost %u; unexpected %u; "
           "faults: %d SIGKILL of the broker\n",
           f->broker->name, COUNT, twice, lost, unexpected, KILLS);
    assert_int_equal(lost, 0);
    assert_int_equal(unexpected, 0);
    assert_in_range(twice, 0, KILLS * 2 * PREFETCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_broker_that_dies_loses_no_dead_letter, NULL),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
