/* test_taken_away.c - a handler closes descriptors of the worker, or puts others in their places,
 * as by closing a number twice: the worker ends with one sentence, and whoever starts it anew finds
 * every message.
 */
#include "crash_fixture.h"

#define GOOD 8
/* What a worker says until then, and no flood of warnings. */
#define SAID_MAX 20000

/* ThreadSanitizer ends a process in which one thread closes what another one reads from: that is
 * what happens here. */
static void skip_under_tsan(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

/* A worker with all that has descriptors. */
static void make_rich_worker(struct fixture *fixture)
{
    fixture->worker = worker_new(fixture->broker->uri,
                                 "state_dir: state\n"
                                 "store: {path: store.db}\n"
                                 "spool: {path: spool.db}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    prefetch: 50\n"
                                 "    concurrency: 2\n"
                                 "    options: {path: record, work: 1ms}\n"
                                 "    middleware: [log, idempotency, recover]\n",
                                 fixture->queue);
    fixture->record = worker_path(fixture->worker, "record");
}

static void await_the_end(struct fixture *fixture)
{
    int status = proc_wait(fixture->worker->proc, PATIENCE_MS);

    if (status != 1)
        fail_msg("status %d", status);
    assert_true(strlen(proc_stderr(fixture->worker->proc)) < SAID_MAX);
}

/* Whatever it is, it is told in one line, and the process ends by itself. */
static void whatever_is_taken_away_is_told(void **state)
{
    static const struct {
        const char *body, *said;
    } rows[] = {
        {"close [eventpoll]", ", the epoll set of an event loop, was closed by"},
        {"swap [eventpoll]", ", the epoll set of an event loop, was closed, and is another"},
        {"close [timerfd]", ", the timer of an event loop, was closed by"},
        {"close [eventfd]", ", which wakes an event loop, was closed by"},
        {"swap [eventfd]", ", which wakes an event loop, was closed, and is another"},
        {"close socket:", ", a socket to the broker, was closed by"},
        {"swap socket:", ", a socket to the broker, was closed, and is another"},
        {"close /store.db", " of a database file, was closed by"},
        {"swap /spool.db", " database file, was closed, and is another"},
        {"close /store.db-lock", ", the lock of the store, was closed by"},
        {"swap /flight-", ", the flight recorder, was closed, and is another"},
    };
    struct fixture *fixture = *state;

    skip_under_tsan();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        peer_declare(fixture->peer, fixture->queue, "classic");
        make_rich_worker(fixture);
        fixture_publish(fixture, "m-1", rows[i].body);
        worker_run(fixture->worker, NULL);
        await_the_end(fixture);
        if (worker_logged(fixture->worker, "level=error", rows[i].said) != 1 &&
            worker_logged(fixture->worker, "level=error", "database file, was closed by") != 1)
            fail_msg("%s: %s", rows[i].body, proc_stderr(fixture->worker->proc));
        worker_free(fixture->worker);
        fixture->worker = NULL;
        free(fixture->record);
        fixture->record = NULL;
        peer_delete(fixture->peer, fixture->queue);
    }
}

static bool all_are_done(struct fixture *fixture)
{
    int done = 0;

    for (int i = 0; i < GOOD; i++)
        done += recorded(fixture, "done m-%d ", i) > 0;
    return done == GOOD;
}

/* One that does not consume yet may not know SIGTERM yet. */
static bool is_over(struct fixture *fixture)
{
    return proc_wait(fixture->worker->proc, 0) != PROC_RUNNING ||
           (worker_logged(fixture->worker, "consuming queue=", NULL) > 0 && all_are_done(fixture) &&
            peer_count(fixture->peer, fixture->dlq) == 1);
}

/* Started anew each time, the worker handles all others, and finds the one that did it. */
static void nothing_is_lost_and_the_culprit_is_found(void **state)
{
    struct fixture *fixture = *state;
    int quarantined = 0;
    char id[16];

    skip_under_tsan();
    peer_declare(fixture->peer, fixture->queue, "quorum");
    concurrency = 2;
    make_worker(fixture, "log, recover", "state_dir: state");
    for (int i = 0; i < GOOD; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        fixture_publish(fixture, id, "good");
        if (i == 3)
            fixture_publish(fixture, "m-bad", "close socket:");
    }
    for (int i = 0; i < 20; i++) {
        worker_run(fixture->worker, NULL);
        assert_true(WAIT_FOR(is_over(fixture), PATIENCE_MS));
        quarantined += worker_logged(fixture->worker, "is quarantined", "message_id=m-bad ");
        if (proc_wait(fixture->worker->proc, 0) != PROC_RUNNING) {
            await_the_end(fixture);
            continue;
        }
        assert_int_equal(worker_stop(fixture->worker), 0);
        if (peer_count(fixture->peer, fixture->queue) == 0)
            break; /* else one is there once more, for its ack was lost */
    }
    assert_true(all_are_done(fixture));
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 1);
    assert_int_equal(quarantined, 1);
}

/* Signals need no descriptor: a worker that has lost all of them can
 * still be told to end. */
static void all_are_taken_away(void **state)
{
    struct fixture *fixture = *state;

    skip_under_tsan();
    peer_declare(fixture->peer, fixture->queue, "classic");
    make_rich_worker(fixture);
    fixture_publish(fixture, "m-1", "close "); /* of 0, 1 and 2, too: nobody can be told */
    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(recorded(fixture, "begin m-%d ", 1) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), 1);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whatever_is_taken_away_is_told),
        TEST(nothing_is_lost_and_the_culprit_is_found),
        TEST(all_are_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
