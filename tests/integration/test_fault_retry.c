/* test_fault_retry.c - retries whose worker is killed, whose broker dies, which are many, and by
 * the clock; on a real broker.
 */
#include "retry_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- counts ---- */

/* Messages that wait in memory for their next attempt when the worker is killed come back with the
 * next number, three times over. The wait is far longer than the test: they come because the broker
 * gives them back. */
static void counted_in_memory(struct fixture *f, const char *type)
{
    enum { COUNT = 50, FAILURES = 3 };

    peer_declare(f->peer, f->queue, type);
    configure(f, COUNT, FAILURES, "state_dir: state\ncrash: {max_attempts: 10}", "",
              "policy: constant, jitter: none, initial_delay: 30s, max_attempts: 5");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    for (unsigned attempt = 1; attempt <= FAILURES; attempt++) {
        run(f);
        wait_until_all_tried(f, attempt);
        assert_true(
            WAIT_FOR(worker_logged(f->worker, "message handled", NULL) == COUNT, PATIENCE_MS));
        /* The line is written a moment before the failure is noted. */
        assert_true(WAIT_FOR(proc_sleeps(f->worker->proc), PATIENCE_MS));
        kill_worker(f);
    }
    run(f);
    wait_until_all_done(f, PATIENCE_MS);
    assert_all_gone(f);
    assert_counted_without_a_gap(f);
    report(f, type, "3 SIGKILL of the worker, all waiting in memory");
}

static void counted_in_memory_of_a_quorum_queue(void **state)
{
    counted_in_memory(*state, "quorum");
}

static void counted_in_memory_of_a_classic_queue(void **state)
{
    counted_in_memory(*state, "classic");
}

static bool has_left(struct fixture *f)
{
    return broker_messages(f->broker, f->queue) == 0;
}

/* Messages in the delay queues bear their count themselves: it needs no state directory. */
static void counted_in_delay_queues(void **state)
{
    enum { COUNT = 50, FAILURES = 3 };
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    configure(f, COUNT, FAILURES, "", "",
              "policy: constant, jitter: none, initial_delay: 3s, in_memory_max: 0ms, "
              "max_attempts: 5");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    for (unsigned attempt = 1; attempt <= FAILURES; attempt++) {
        run(f);
        wait_until_all_tried(f, attempt);
        assert_true(WAIT_FOR(has_left(f), PATIENCE_MS));
        kill_worker(f);
    }
    run(f);
    wait_until_all_done(f, PATIENCE_MS);
    assert_all_gone(f);
    assert_counted_without_a_gap(f);
    report(f, "classic", "3 SIGKILL of the worker, all in delay queues");
}

/* Killed at any point, with messages in handlers, in memory, in delay queues and between these:
 * none is lost or given up, and only what was in flight has an attempt of one number twice. */
static void killed_at_any_point(void **state)
{
    enum { COUNT = 400, FAILURES = 4, KILLS = 8, PREFETCH = 40 };
    struct fixture *f = *state;
    unsigned calls_until = 0;

    peer_declare(f->peer, f->queue, "quorum");
    configure(f, COUNT, FAILURES,
              "state_dir: state\ncrash: {max_attempts: 1000}\nconsumer: {prefetch: 40}", "",
              "initial_delay: 300ms, max_delay: 3s, in_memory_max: 500ms, max_attempts: 30");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    for (unsigned i = 0; i < KILLS; i++) {
        run(f);
        calls_until += COUNT * FAILURES / (KILLS + 2) + i * 13 % 29;
        assert_true(WAIT_FOR(read_books(f)->lines >= calls_until, PATIENCE_MS));
        kill_worker(f);
    }
    run(f);
    wait_until_all_done(f, 2 * PATIENCE_MS);
    assert_none_lost(f);
    report(f, "quorum", "8 SIGKILL of the worker");
    /* A copy that was confirmed beside an original that was not acked makes two of one message;
     * the second one may still be in a delay queue. */
    assert_in_range(read_books(f)->repeats, 0, KILLS * PREFETCH * FAILURES);
}

/* ---- the broker ---- */

/* The broker takes no publishes and then dies: until then every original stays unacked, though its
 * attempt is over and its copy for the delay queues is sent; then each comes again. */
static void the_broker_goes_during_a_delay_publish(void **state)
{
    enum { COUNT = 100 };
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    configure(f, COUNT, 1, "consumer: {prefetch: 200}", "",
              "policy: constant, jitter: none, initial_delay: 2s, in_memory_max: 0ms");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    broker_memory_alarm(f->broker, true);
    run(f);
    assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", "outcome=retry") == COUNT,
                         PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "blocks publishing", NULL) == 1, PATIENCE_MS));
    assert_int_equal(broker_unacked(f->broker, f->queue), COUNT);
    assert_int_equal(read_books(f)->lines, COUNT);
    peer_free(f->peer);
    f->peer = NULL;
    broker_kill(f->broker);
    broker_do(f->broker, "start"); /* the alarm does not outlive the node */
    f->peer = peer_new(f->broker->uri);
    wait_until_all_done(f, 2 * PATIENCE_MS);
    assert_none_lost(f); /* a copy beside its original may still be in a delay queue */
    report(f, "classic", "1 SIGKILL of the broker, 100 copies unconfirmed");
}

/* ---- many ---- */

/* Ten thousand messages that each fail twice, with room for few of them to wait in memory, and all
 * connections closed in the middle: every one is handled at last and none given up. */
static void a_storm_of_ten_thousand_loses_none(void **state)
{
    enum { COUNT = 10000, FAILURES = 2 };
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "quorum");
    configure(f, COUNT, FAILURES, "consumer: {prefetch: 200}", "",
              "initial_delay: 1s, max_delay: 4s, in_memory_max: 500ms, max_attempts: 30");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    run(f);
    assert_true(WAIT_FOR(read_books(f)->lines >= COUNT, 3 * PATIENCE_MS));
    assert_true(broker_close_connections(f->broker, "warren") > 0);
    wait_until_all_done(f, 4 * PATIENCE_MS);
    assert_none_lost(f);
    report(f, "quorum", "all connections closed once");
}

/* ---- by the clock ---- */

/* A thousand messages whose handler asks for a thousand different delays, some waited for in memory
 * and some in the delay queues: none comes again before it is due, and they come in the order of
 * their due times within two seconds. */
static void a_thousand_delays_come_when_they_are_due(void **state)
{
    enum { COUNT = 1000, SPREAD_MS = 12000, DISORDER_MS = 2000, LATE_MS = 20000 };
    struct fixture *f = *state;
    struct due order[COUNT];
    int64_t latest_ms = 0;
    int64_t disorder_ms;

    peer_declare(f->peer, f->queue, "quorum");
    configure(f, COUNT, 1, "consumer: {prefetch: 1000, concurrency: 2}", "obey: true",
              "max_delay: 1m, in_memory_max: 5s");
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned number = i * 617 % COUNT; /* a prime: each number once, in no order */
        char *body = text("%u-%u", (number + 1) * SPREAD_MS / COUNT, number);

        peer_publish(f->peer, "", f->queue, body, strlen(body), NULL);
        free(body);
    }
    run(f);
    wait_until_all_done(f, SPREAD_MS + PATIENCE_MS);
    assert_all_gone(f);
    assert_counted_without_a_gap(f);
    for (unsigned i = 0; i < COUNT; i++) {
        const struct attempts *of = &read_books(f)->of[i];
        int64_t delay_ms = (int64_t)(i + 1) * SPREAD_MS / COUNT;
        int64_t late_ms = of->at_ms[2] - of->at_ms[1] - delay_ms;

        assert_true(late_ms >= 0);
        if (late_ms > LATE_MS)
            fail_msg("a delay of %" PRId64 " ms was late by %" PRId64 " ms", delay_ms, late_ms);
        latest_ms = late_ms > latest_ms ? late_ms : latest_ms;
        order[i] = (struct due){of->at_ms[1] + delay_ms, of->at_ms[2]};
    }
    disorder_ms = due_disorder_ms(order, COUNT);
    assert_in_range(disorder_ms, 0, DISORDER_MS);
    printf("%d delays up to %d ms, latest by %" PRId64 " ms, out of order by %" PRId64 " ms\n",
           COUNT, SPREAD_MS, latest_ms, disorder_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counted_in_memory_of_a_quorum_queue),
        TEST(counted_in_memory_of_a_classic_queue),
        TEST(counted_in_delay_queues),
        TEST(killed_at_any_point),
        TEST(the_broker_goes_during_a_delay_publish),
        TEST(a_storm_of_ten_thousand_loses_none),
        TEST(a_thousand_delays_come_when_they_are_due),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
