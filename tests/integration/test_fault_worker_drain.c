/* test_fault_worker_drain.c - SIGTERM where the broker's disk lags behind. RabbitMQ's channel keeps
 * acks to a quorum queue back then, and forgets them when it is closed: what was handled would be
 * handled again. On a node of its own, whose disk stands still again and again.
 */
#include "support/broker.h"
#include "support/peer.h"
#include "support/tally.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define LONG_MS  (2 * PATIENCE_MS)
#define STALL_MS 100
#define ROUNDS   20

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    struct worker *worker;
    struct tally *tally;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char *record;

    assert_non_null(f);
    f->broker = broker_own("drain", false);
    f->peer = peer_new(f->broker->uri);
    f->queue = unique_name("drain");
    peer_declare(f->peer, f->queue, "quorum");
    f->worker = worker_new(f->broker->uri,
                           "consumer: {prefetch: 200, concurrency: 16}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, delay: 150ms, vary: true}",
                           f->queue);
    record = worker_path(f->worker, "record");
    f->tally = tally_new(record, f->queue, 0);
    free(record);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    worker_free(f->worker);
    tally_free(f->tally);
    peer_free(f->peer);
    broker_free(f->broker);
    free(f->queue);
    free(f);
    return 0;
}

/* Twenty times SIGTERM, each at another moment: what was handled has been acked, and stays so. */
static void acks_on_a_slow_disk(void **state)
{
    struct fixture *f = *state;
    struct tally *tally = f->tally;

    for (unsigned round = 0; round < ROUNDS; round++) {
        worker_run(f->worker, NULL);
        assert_true(tally_wait_fed(tally, f->broker, f->queue, tally->ok + 1, LONG_MS));
        broker_stall_disk(f->broker, STALL_MS);
        assert_true(tally_wait(tally, tally->ok + 20 + round, LONG_MS));
        assert_int_equal(worker_stop(f->worker), 0);
        broker_stall_disk(f->broker, 0);
    }
    worker_run(f->worker, NULL);
    assert_true(tally_wait(tally, tally->count, LONG_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    tally_update(tally);
    tally_print(tally, f->broker, "quorum", ROUNDS, "20 SIGTERM of the worker, a disk that stalls");
    assert_int_equal(tally->count - tally->ok, 0); /* lost */
    assert_int_equal(tally->unexpected, 0);
    assert_int_equal(tally->duplicates, 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acks_on_a_slow_disk, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
