/* test_fault_worker_drain.c - SIGTERM where the broker's disk lags behind. RabbitMQ's channel keeps
 * acks to a quorum queue back then, and forgets them when it is closed: what was handled would be
 * handled again. On a node of its own, whose disk stands still again and again.
 */
#include "support/fixture.h"

#define LONG_MS  (2 * PATIENCE_MS)
#define STALL_MS 100
#define ROUNDS   20

static int setup(void **state)
{
    struct fixture *f;
    char *record;

    *state = "quorum";
    fixture_setup(state);
    f = *state;
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
        cmocka_unit_test_setup_teardown(acks_on_a_slow_disk, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
