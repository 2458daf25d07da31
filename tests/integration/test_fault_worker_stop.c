/* test_fault_worker_stop.c - how a worker ends: by SIGTERM under full load again and again, by a
 * second signal, by drain.timeout, and while there is no broker, a wrong password or a web server
 * at its address.
 */
#include <signal.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/socket.h"

/* To end without anything to wait for. */
#define PROMPT_MS (10000 * (int64_t)slowness())

/* A worker of @uri with probe.record, with more options of it. */
static void prepare(struct fixture *fixture, const char *uri, const char *options)
{
    fixture->worker = worker_new(uri,
                                 "consumer: {prefetch: 200, concurrency: 8}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: record, %s}",
                                 fixture->queue, options);
    fixture->record = worker_path(fixture->worker, "record");
    fixture->tally = tally_new(fixture->record, fixture->queue, 0);
}

/* ---- drained ---- */

/* A hundred times SIGTERM at full load (20 times where everything is slow), each at another moment:
 * what a worker has handled it has acked, so no message is ever handled twice, and what it had not
 * begun comes back without harm. */
static void sigterm_at_full_load(void **state)
{
    struct fixture *fixture = *state;
    unsigned rounds = slowness() > 1 ? 20 : 100;
    char faults[64];
    struct tally *tally;
    unsigned slowest_ms = 0;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    prepare(fixture, fixture->broker->uri, "delay: 1ms");
    tally = fixture->tally;
    for (unsigned round = 0; round < rounds; round++) {
        int64_t began_ms;

        worker_run(fixture->worker, NULL);
        tally_update(tally); /* what the one before did after its SIGTERM */
        assert_true(tally_wait_fed(tally, fixture->broker, fixture->queue,
                                   tally->ok + 100 + round % 20 * 10, PATIENCE_MS));
        began_ms = now_ms();
        assert_int_equal(worker_stop(fixture->worker), 0);
        if (now_ms() - began_ms > slowest_ms)
            slowest_ms = (unsigned)(now_ms() - began_ms);
        assert_int_equal(worker_number(fixture->worker, "stopped", "unfinished"), 0);
    }
    worker_consume(fixture->worker, 1); /* perhaps there is nothing left that shows that it runs */
    assert_true(tally_wait(tally, tally->count, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    tally_update(tally);
    snprintf(faults, sizeof faults, "%u SIGTERM of the worker", rounds);
    tally_print(tally, fixture->broker, "quorum", (int)rounds, faults);
    printf("slowest drain %u ms\n", slowest_ms);
    assert_int_equal(tally->count - tally->ok, 0); /* lost */
    assert_int_equal(tally->unexpected, 0);
    assert_int_equal(tally->duplicates, 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* ---- cut short ---- */

/* Two of the handlers' threads are stuck, more messages wait behind them. */
static void start_stuck(struct fixture *fixture, const char *drain)
{
    char *options = text("gate: '%s'", fixture->gate);

    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_publish_many(fixture->peer, fixture->queue, fixture->queue, 50);
    prepare(fixture, fixture->broker->uri, options);
    WORKER_RUN(fixture->worker, drain, "consumer.concurrency=2");
    assert_true(WAIT_FOR(peer_consumers(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 0, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "waits for its gate", NULL) == 2, PATIENCE_MS));
    free(options);
}

/* Handlers that do not return end with drain.timeout: everything is handed back by then, and the
 * exit status says that something was not finished. */
static void drain_timeout_hands_back(void **state)
{
    struct fixture *fixture = *state;
    int64_t began_ms;

    start_stuck(fixture, "drain.timeout=6s");
    began_ms = now_ms();
    proc_signal(fixture->worker->proc, SIGTERM);
    /* What no handler has begun goes back at once, not only with the timeout. */
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 48, 5000));
    assert_int_equal(proc_wait(fixture->worker->proc, 6000 + PROMPT_MS), 1);
    printf("drain.timeout 6 s with a stuck handler: ended after %d ms\n",
           (int)(now_ms() - began_ms));
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 50, PATIENCE_MS));
    worker_expect_logged(fixture->worker, "stopped by drain.timeout", NULL, 1);
    assert_int_equal(worker_number(fixture->worker, "stopped by drain.timeout", "unfinished"), 2);
}

/* Does not count within a second of the first one, so it may take several. */
static bool ends_by(struct fixture *fixture, int signal)
{
    proc_signal(fixture->worker->proc, signal);
    return proc_wait(fixture->worker->proc, 100) != PROC_RUNNING;
}

/* A second signal does not wait for drain.timeout. */
static void second_signal_ends_at_once(void **state)
{
    struct fixture *fixture = *state;

    start_stuck(fixture, "drain.timeout=10m");
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "draining", "running=2") == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(ends_by(fixture, SIGTERM), PROMPT_MS));
    assert_int_equal(proc_wait(fixture->worker->proc, 0), 1);
    worker_expect_logged(fixture->worker, "stopped at once", NULL, 1);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 50, PATIENCE_MS));
}

/* timeout(1) signals its child and its group, a terminal all of a group, and some shells once more:
 * that is one request. SIGHUP in the midst of it changes nothing. */
static void repeated_signal_is_one(void **state)
{
    struct fixture *fixture = *state;

    start_stuck(fixture, "drain.timeout=10m");
    proc_signal(fixture->worker->proc, SIGTERM);
    proc_signal(fixture->worker->proc, SIGINT);
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "draining", "running=2") == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGHUP);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "SIGHUP: nothing", NULL) == 1, PATIENCE_MS));
    unlink(fixture->gate);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), 0);
    worker_expect_logged(fixture->worker, "msg=stopped", "unfinished=0", 1);
    assert_int_equal(worker_logged(fixture->worker, "reopening", NULL), 0);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 48, PATIENCE_MS));
}

/* ---- nobody there ---- */

static bool hung_up_until_the_end(struct fixture *fixture)
{
    proc_signal(fixture->worker->proc, SIGHUP);
    return proc_wait(fixture->worker->proc, 0) != PROC_RUNNING;
}

/* SIGHUP kills at no moment of a worker's life: not while it starts, nor after it has drained. */
static void hang_ups_from_the_start_to_the_end(void **state)
{
    struct fixture *fixture = *state;

    prepare(fixture, "amqp://guest:guest@127.0.0.1:1/", "");
    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(*proc_stderr(fixture->worker->proc), PATIENCE_MS));
    for (int i = 0; i < 20; i++)
        assert_false(hung_up_until_the_end(fixture));
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(hung_up_until_the_end(fixture), PATIENCE_MS));
    assert_int_equal(proc_wait(fixture->worker->proc, 0), 0);
}

/* What is asked of a worker that starts is done when it has started: it ends in good order. */
static void signal_while_starting(void **state)
{
    struct fixture *fixture = *state;

    prepare(fixture, "amqp://guest:guest@127.0.0.1:1/", "");
    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(*proc_stderr(fixture->worker->proc), PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_int_equal(proc_wait(fixture->worker->proc, PROMPT_MS), 0);
    worker_expect_logged(fixture->worker, "msg=stopping", "reason=SIGTERM", 1);
}

static void assert_ends_promptly(struct fixture *fixture)
{
    int64_t began_ms = now_ms();

    proc_signal(fixture->worker->proc, SIGTERM);
    assert_int_equal(proc_wait(fixture->worker->proc, PROMPT_MS), 0);
    printf("ended after %d ms\n", (int)(now_ms() - began_ms));
}

/* Without a broker a worker tries again and again, with a pause, and SIGTERM ends it at once. */
static void sigterm_without_a_broker(void **state)
{
    struct fixture *fixture = *state;
    uint16_t port;
    int fd = socket_listen(&port);
    char *uri = text("amqp://guest:guest@127.0.0.1:%u/", port);
    int tries;

    close(fd); /* nobody listens there now */
    prepare(fixture, uri, "");
    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "cannot connect", "nothing listens") >= 6,
                         PATIENCE_MS));
    assert_ends_promptly(fixture);
    /* 50 ms doubled up to 500 ms, two connections: not a busy loop. */
    tries = worker_logged(fixture->worker, "cannot connect", NULL);
    assert_in_range(tries, 6, 100);
    free(uri);
}

/* A wrong password is told as such with a long pause, the password never. */
static void wrong_password(void **state)
{
    struct fixture *fixture = *state;
    char *uri = text("amqp://guest:s3cr3t-w0rd@127.0.0.1:%u/", fixture->broker->port);

    prepare(fixture, uri, "");
    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "refused the connection", "code=403") == 2,
                         PATIENCE_MS));
    assert_true(worker_number(fixture->worker, "refused the connection", "retry_ms") >= 30000);
    assert_ends_promptly(fixture);
    assert_null(strstr(proc_stderr(fixture->worker->proc), "s3cr3t"));
    worker_expect_logged(fixture->worker, "refused the connection", NULL, 2);
    free(uri);
}

static void answer_as_http(struct mock_peer *peer, int connection, void *user)
{
    static const char page[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";

    (void)connection;
    (void)user;
    mock_send_bytes(peer, page, sizeof page - 1);
}

/* A web server in the broker's place is recognised, and is no reason to hang or to hurry. */
static void web_server_instead_of_a_broker(void **state)
{
    struct fixture *fixture = *state;

    fixture->mock = mock_new(answer_as_http, NULL);
    prepare(fixture, mock_uri(fixture->mock), "");
    worker_run(fixture->worker, NULL);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "cannot connect", "web server") >= 4, PATIENCE_MS));
    assert_ends_promptly(fixture);
    assert_in_range(mock_accepted(fixture->mock), 4, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sigterm_at_full_load, NULL),
        FIXTURE_TEST(drain_timeout_hands_back, NULL),
        FIXTURE_TEST(second_signal_ends_at_once, NULL),
        FIXTURE_TEST(repeated_signal_is_one, NULL),
        FIXTURE_TEST(hang_ups_from_the_start_to_the_end, NULL),
        FIXTURE_TEST(signal_while_starting, NULL),
        FIXTURE_TEST(sigterm_without_a_broker, NULL),
        FIXTURE_TEST(wrong_password, NULL),
        FIXTURE_TEST(web_server_instead_of_a_broker, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
