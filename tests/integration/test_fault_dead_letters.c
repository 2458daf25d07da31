/* test_fault_dead_letters.c - a broker that dies while messages are being dead-lettered. Each of
 * them ends in the dead-letter queue, at least once; on a node of its own.
 */
#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define LONG_MS  (2 * PATIENCE_MS)
#define COUNT    3000
#define KILLS    2
#define PREFETCH 50

static struct broker *broker;
static struct worker *worker;
static unsigned copies[COUNT];
static unsigned unexpected;

static int setup(void **state)
{
    (void)state;
    broker = broker_own("fault-dead", false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_free(worker);
    broker_free(broker);
    return 0;
}

static int count(const char *queue)
{
    struct peer *peer = peer_new(broker->uri);
    int messages = peer_count(peer, queue);

    peer_free(peer);
    return messages;
}

static void note(const struct peer_message *message, void *user)
{
    unsigned number;

    (void)user;
    if (sscanf(message->message_id, "dead-%u", &number) == 1 && number < COUNT)
        copies[number]++;
    else
        unexpected++;
}

static void fill(void)
{
    struct peer *peer = peer_new(broker->uri);

    peer_publish_many(peer, "dead", "dead", COUNT);
    peer_free(peer);
}

/* RabbitMQ writes what was declared to its disk some time later; what happens before is not meant
 * here. */
static void declare_for_good(void)
{
    worker_consume(worker, 1);
    assert_int_equal(worker_stop(worker), 0);
    proc_free(worker->proc);
    worker->proc = NULL;
    free(broker_eval(broker, "catch mnesia:sync_log(), catch mnesia:dump_log(), ok."));
}

/* Take what is there. @return how many messages have no letter yet */
static unsigned missing(void)
{
    struct peer *peer = peer_new(broker->uri);
    unsigned none = 0;

    peer_drain(peer, "dead.dlq", note, NULL);
    peer_free(peer);
    for (unsigned i = 0; i < COUNT; i++)
        none += copies[i] == 0;
    return none;
}

/* Letters more than messages, and messages that still stand in their queue. */
static unsigned doubled(void)
{
    struct peer *peer = peer_new(broker->uri);
    unsigned more = peer_drain(peer, "dead", NULL, NULL);

    peer_free(peer);
    for (unsigned i = 0; i < COUNT; i++)
        more += copies[i] > 1 ? copies[i] - 1 : 0;
    return more;
}

/* The broker dies twice with copies on their way, stored or not, confirmed or not: no message is
 * lost, and no more are doubled than were unsettled or unconfirmed then. */
static void a_broker_that_dies_loses_no_dead_letter(void **state)
{
    unsigned lost;
    unsigned twice;

    (void)state;
    worker = worker_new(broker->uri,
                        "consumer: {prefetch: %d, concurrency: 2}\n"
                        "topology: {queues: [{name: dead}]}\n"
                        "subscriptions:\n"
                        "  - queue: dead\n"
                        "    handler: probe.record\n"
                        "    options: {path: record, outcome: reject, delay: 2ms}\n",
                        PREFETCH);
    declare_for_good();
    fill();
    worker_run(worker, NULL);
    for (int i = 0; i < KILLS; i++) {
        int goal = COUNT / (KILLS + 1) * (i + 1);

        assert_true(WAIT_FOR(count("dead.dlq") >= goal, LONG_MS));
        broker_kill(broker);
        broker_do(broker, "start");
    }
    assert_true(WAIT_FOR(missing() == 0, LONG_MS));
    assert_int_equal(worker_stop(worker), 0);
    lost = missing();
    twice = doubled();
    printf("broker %s, quorum: messages %d; dead-lettered twice %u; lost %u; unexpected %u; "
           "faults: %d SIGKILL of the broker\n",
           broker->name, COUNT, twice, lost, unexpected, KILLS);
    assert_int_equal(lost, 0);
    assert_int_equal(unexpected, 0);
    assert_in_range(twice, 0, KILLS * 2 * PREFETCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_broker_that_dies_loses_no_dead_letter, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
