/* test_fault_worker.c - a worker whose broker closes connections, dies, hangs, is not there, or
 * raises an alarm. Each run under load is counted and summed up in one line.
 */
#include <signal.h>

#include "support/fixture.h"

#define PREFETCH  50
#define WINDOW    20   /* of the publisher, in messages */
#define FORWARDED 3000 /* in the tests of alarms */

/* The vhost that is missing at first; the worker waits half a minute before it looks again, so it
 * does that beside the other tests. */
static struct worker *early;
static char *early_record;

static int stop_all(void **state)
{
    worker_free(early);
    free(early_record);
    return fixture_end_node(state);
}

/* Numerical Recipes' linear congruential generator: the same faults in every run. */
static unsigned random_below(unsigned bound)
{
    static uint32_t random_state = TALLY_SEED;

    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % bound;
}

/* The node may have lost all connections. */
static int ready(struct fixture *f, const char *queue)
{
    return peer_count(fixture_new_peer(f), queue);
}

static struct tally *tally_of(struct fixture *f, const char *record, const char *queue,
                              unsigned count)
{
    char *path = worker_path(f->worker, record);
    struct tally *made = tally_new(path, queue, count);

    free(path);
    return made;
}

/* A worker of the queue, in which @count messages are. */
static void prepare(struct fixture *f, const char *more, unsigned count)
{
    peer_publish_many(f->peer, f->queue, f->queue, count);
    f->worker = worker_new(f->broker->uri,
                           "consumer: {prefetch: %d}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, %s}",
                           PREFETCH, f->queue, more);
    f->tally = tally_of(f, "record", f->queue, count);
}

/* What every run has to end with; @in_flight bounds how many the faults may have doubled. */
static void assert_kept(const struct tally *books, unsigned in_flight)
{
    assert_int_equal(books->count - books->ok, 0); /* lost */
    assert_int_equal(books->unexpected, 0);
    assert_int_equal(books->unmarked, 0);
    assert_in_range(books->duplicates, 0, in_flight);
}

/* If it never comes to that: is it the queue that has no more, or the worker that takes no more? */
static void assert_handled(struct fixture *f, bool in_time, struct tally *books)
{
    if (!in_time)
        fail_msg("%s: %u handled of %u, %d ready on the broker", books->prefix, books->ok,
                 books->count, ready(f, books->prefix));
}

/* A quorum queue carries acks out some time after it took them. */
static void assert_emptied(struct fixture *f)
{
    if (!WAIT_FOR(ready(f, f->queue) == 0, PATIENCE_MS))
        fail_msg("%s: %d messages are left that were acked", f->queue, ready(f, f->queue));
}

static void wait_for(struct fixture *f, struct tally *books, unsigned ok)
{
    assert_handled(f, tally_wait(books, ok, PATIENCE_MS), books);
}

static void wait_under_load(struct fixture *f, struct tally *books, unsigned ok)
{
    assert_handled(f, tally_wait_fed(books, f->broker, books->prefix, ok, PATIENCE_MS), books);
}

/* The worker ends well, and the run is summed up. */
static void stop(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
    tally_update(f->tally);
}

static int recovered(struct fixture *f)
{
    return (int)worker_number(f->worker, "stopped", "connects") - 1;
}

/* ---- connections ---- */

/* Both connections of the worker are closed by the broker again and again: it comes back each
 * time, and only what was in flight is handled twice. */
static void connections_closed_in_a_loop(void **state)
{
    enum { CUTS = 20 };
    struct fixture *f = *state;

    prepare(f, "delay: 1ms", 0);
    worker_run(f->worker, NULL);
    for (unsigned i = 0; i < CUTS; i++) {
        wait_under_load(f, f->tally, f->tally->ok + PREFETCH + random_below(200));
        assert_true(WAIT_FOR(broker_close_connections(f->broker, "warren") > 0, PATIENCE_MS));
    }
    wait_for(f, f->tally, f->tally->count);
    stop(f);
    tally_print(f->tally, f->broker, "quorum", recovered(f),
                "20 times all connections closed by the broker");
    assert_kept(f->tally, CUTS * PREFETCH);
    assert_emptied(f);
}

/* ---- the node ---- */

static int times_consuming(struct fixture *f, const char *queue)
{
    char *line = text("consuming queue=%s", queue);
    int times = worker_logged(f->worker, line, NULL);

    free(line);
    return times;
}

/* The node is killed and started again; the worker has noticed, and consumes anew. */
static void kill_node(struct fixture *f, int life)
{
    broker_kill(f->broker);
    broker_do(f->broker, "start");
    assert_true(WAIT_FOR(
        times_consuming(f, f->queue) == life && times_consuming(f, f->other) == life, PATIENCE_MS));
}

/* The node is killed under load and started again: nothing that it confirmed is lost. */
static void node_killed_under_load(void **state)
{
    enum { KILLS = 3 };
    struct fixture *f = *state;
    struct tally *quorum, *classic;

    peer_declare(f->peer, f->other, "classic");
    f->worker = worker_new(f->broker->uri,
                           "consumer: {prefetch: %d}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: quorum, delay: 1ms}\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: classic, delay: 1ms}",
                           PREFETCH, f->queue, f->other);
    quorum = f->tally = tally_of(f, "quorum", f->queue, 0);
    classic = tally_of(f, "classic", f->other, 0);
    worker_consume(f->worker, 2);
    for (int i = 0; i < KILLS; i++) {
        wait_under_load(f, quorum, quorum->ok + 2 * PREFETCH + random_below(300));
        wait_under_load(f, classic, classic->ok + 1);
        kill_node(f, i + 2);
    }
    wait_for(f, quorum, quorum->count);
    wait_for(f, classic, classic->count);
    /* Acks that the classic queue forgot: their messages come once more. */
    assert_true(WAIT_FOR(broker_messages(f->broker, f->other) == 0, PATIENCE_MS));
    stop(f);
    tally_update(classic);
    tally_print(quorum, f->broker, "quorum", recovered(f), "3 SIGKILL of the broker");
    tally_print(classic, f->broker, "classic", recovered(f), "3 SIGKILL of the broker");
    assert_kept(quorum, KILLS * PREFETCH);
    /* A classic queue keeps acks in memory for long; what it forgot of them it delivers again. */
    assert_kept(classic, KILLS * classic->count);
    assert_true(recovered(f) >= KILLS);
    assert_emptied(f);
    assert_int_equal(ready(f, f->other), 0);
    tally_free(classic);
}

/* A node that hangs is given up after two heartbeats, and used again when it comes back. */
static void node_hangs_for_several_heartbeats(void **state)
{
    enum { HANG_MS = 4000 };
    struct fixture *f = *state;
    int64_t paused_ms;

    prepare(f, "delay: 2ms", 0);
    WORKER_RUN(f->worker, "broker.heartbeat=1s", "broker.connect_timeout=1s");
    wait_under_load(f, f->tally, 4 * PREFETCH);
    broker_do(f->broker, "pause");
    paused_ms = now_ms();
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "connection lost", "two heartbeats") == 2, PATIENCE_MS));
    assert_false(WAIT_FOR(worker_logged(f->worker, "msg=connected", NULL) > 2,
                          HANG_MS - (now_ms() - paused_ms)));
    broker_do(f->broker, "resume");
    wait_for(f, f->tally, f->tally->count);
    stop(f);
    tally_print(f->tally, f->broker, "quorum", recovered(f),
                "1 SIGSTOP of the broker for 4 s, heartbeat 1 s");
    assert_kept(f->tally, PREFETCH);
    assert_emptied(f);
}

/* A worker that starts before its broker waits for it. */
static void broker_comes_after_the_worker(void **state)
{
    enum { COUNT = 200 };
    struct fixture *f = *state;

    prepare(f, "", COUNT);
    broker_do(f->broker, "stop");
    worker_run(f->worker, NULL);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "cannot connect", "nothing listens") > 4, PATIENCE_MS));
    broker_do(f->broker, "start");
    wait_for(f, f->tally, COUNT);
    stop(f);
    tally_print(f->tally, f->broker, "quorum", 0, "broker absent at start");
    assert_kept(f->tally, 0);
}

/* ---- acks ---- */

/* What was in a handler when the connection broke is not acked on the next one, where its tag
 * would mean another message: it is counted as stale and handled again. */
static void old_acks_are_stale(void **state)
{
    enum { COUNT = 100, THREADS = 4 };
    struct fixture *f = *state;
    char *options = text("gate: '%s'", f->gate);
    char *record;

    prepare(f, options, COUNT);
    record = worker_path(f->worker, "record");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(ready(f, f->queue) == COUNT - PREFETCH, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == THREADS, PATIENCE_MS));
    assert_true(broker_close_connections(f->broker, "warren worker") > 0);
    assert_true(WAIT_FOR(times_consuming(f, f->queue) == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(ready(f, f->queue) == COUNT - PREFETCH, PATIENCE_MS));
    fixture_open_gate(f);
    wait_for(f, f->tally, COUNT);
    /* Those of the handlers come once more. */
    assert_true(WAIT_FOR(count_lines(record) == COUNT + THREADS, PATIENCE_MS));
    stop(f);
    tally_print(f->tally, f->broker, "quorum", 1,
                "1 connection closed by the broker, handlers stuck");
    assert_kept(f->tally, THREADS);
    assert_int_equal(f->tally->duplicates, THREADS);
    assert_int_equal(worker_number(f->worker, "stopped", "stale"), PREFETCH);
    assert_emptied(f);
    free(options);
    free(record);
}

/* ---- alarms ---- */

/* A worker that forwards the @count messages of `queue` to `other`, both quorum queues, and handles
 * the @others of a classic queue. @return the name of that */
static const char *prepare_forwarding(struct fixture *f, unsigned count, unsigned others)
{
    char *classic = f->own = text("%s-others", f->queue);

    peer_declare(f->peer, f->other, "quorum");
    peer_declare(f->peer, classic, "classic");
    f->worker = worker_new(f->broker->uri,
                           "consumer: {prefetch: %d}\n"
                           "publisher: {window_messages: %d}\n"
                           "subscriptions:\n"
                           "  - {queue: %s, handler: probe.forward, options: {to: %s}}\n"
                           "  - {queue: %s, handler: probe.record, options: {path: record}}",
                           PREFETCH, WINDOW, f->queue, f->other, classic);
    f->tally = tally_of(f, "record", classic, others);
    peer_publish_many(f->peer, f->queue, f->queue, count);
    peer_publish_many(f->peer, classic, classic, others);
    return classic;
}

/* While a memory alarm keeps handlers from publishing, no input of theirs is acked, other
 * subscriptions go on, acks included, and nothing grows; then everything goes on. */
static void alarm_blocks_publishing_alone(void **state)
{
    enum { OTHERS = 500 };
    struct fixture *f = *state;
    const char *classic = prepare_forwarding(f, FORWARDED, OTHERS);

    broker_memory_alarm(f->broker, true);
    worker_run(f->worker, NULL);
    assert_true(WAIT_FOR(worker_logged(f->worker, "blocks publishing", NULL) == 1, PATIENCE_MS));
    wait_for(f, f->tally, OTHERS);
    assert_true(WAIT_FOR(broker_unacked(f->broker, classic) == 0, PATIENCE_MS));
    assert_int_equal(ready(f, classic), 0);
    assert_int_equal(ready(f, f->queue), FORWARDED - PREFETCH); /* none was acked */
    assert_int_equal(ready(f, f->other), 0);
    broker_memory_alarm(f->broker, false);
    assert_true(WAIT_FOR(ready(f, f->other) >= FORWARDED, PATIENCE_MS));
    stop(f);
    printf("alarm: forwarded %d of %d; lost %d; others handled %u\n", ready(f, f->other), FORWARDED,
           FORWARDED - ready(f, f->other), f->tally->ok);
    assert_int_equal(ready(f, f->other), FORWARDED);
    assert_int_equal(ready(f, f->queue), 0);
    assert_int_equal(worker_logged(f->worker, "connection lost", NULL), 0);
    assert_kept(f->tally, 0);
}

/* SIGTERM during an alarm: the worker ends by drain.timeout, with all inputs on their queue. */
static void sigterm_during_an_alarm(void **state)
{
    enum { COUNT = 200 };
    struct fixture *f = *state;
    int64_t began_ms;
    int status;

    prepare_forwarding(f, COUNT, 0);
    broker_memory_alarm(f->broker, true);
    WORKER_RUN(f->worker, "drain.timeout=2s");
    assert_true(WAIT_FOR(worker_logged(f->worker, "blocks publishing", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(ready(f, f->queue) == COUNT - PREFETCH, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    began_ms = now_ms();
    status = proc_wait(f->worker->proc, PATIENCE_MS);
    printf("SIGTERM during an alarm, drain.timeout 2 s: status %d after %d ms\n", status,
           (int)(now_ms() - began_ms));
    assert_true(status == 0 || status == 1);
    broker_memory_alarm(f->broker, false);
    assert_true(WAIT_FOR(ready(f, f->queue) == COUNT, PATIENCE_MS));
    /* What the publisher had sent when the broker stopped reading it is read now. */
    assert_in_range(ready(f, f->other), 0, WINDOW);
}

/* ---- a vhost that is missing at first ---- */

static void missing_vhost_is_refused(void **state)
{
    struct fixture *f = *state;
    char *uri = text("%sfault-later", f->broker->uri);

    early = worker_new(uri, "topology: {queues: [{name: early}]}\n"
                            "subscriptions:\n"
                            "  - {queue: early, handler: probe.record, options: {path: record}}");
    early_record = worker_path(early, "record");
    worker_run(early, NULL);
    assert_true(
        WAIT_FOR(worker_logged(early, "refused the connection", "fault-later") == 2, PATIENCE_MS));
    assert_true(worker_number(early, "refused the connection", "retry_ms") >= 30000);
    assert_int_equal(worker_number(early, "refused the connection", "code"), 530);
    free(uri);
    free(broker_vhost(f->broker, "fault-later"));
}

static void missing_vhost_is_used_once_there(void **state)
{
    struct fixture *f = *state;

    f->vhost = text("fault-later");
    f->uri = text("%s%s", f->broker->uri, f->vhost);
    fixture_new_peer(f);
    assert_true(WAIT_FOR(peer_consumers(f->peer, "early") == 1, 40000 + PATIENCE_MS));
    peer_publish(f->peer, "", "early", "x", 1, NULL);
    assert_true(WAIT_FOR(count_lines(early_record) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(early), 0);
}

/* ---- after all of it ---- */

/* In everything above the broker has never been told a tag that it did not know. */
static void broker_never_saw_a_wrong_tag(void **state)
{
    const struct fixture *f = *state;
    char *log = broker_log(f->broker);

    assert_non_null(strstr(log, "accepting AMQP connection")); /* it is the log that we mean */
    assert_null(strstr(log, "unknown delivery tag")); /* 406; others are looks at a limit */
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(missing_vhost_is_refused, NULL),
        FIXTURE_TEST(connections_closed_in_a_loop, "quorum"),
        FIXTURE_TEST(node_killed_under_load, "quorum"),
        FIXTURE_TEST(node_hangs_for_several_heartbeats, "quorum"),
        FIXTURE_TEST(broker_comes_after_the_worker, "quorum"),
        FIXTURE_TEST(old_acks_are_stale, "quorum"),
        FIXTURE_TEST(alarm_blocks_publishing_alone, "quorum"),
        FIXTURE_TEST(sigterm_during_an_alarm, "quorum"),
        FIXTURE_TEST(missing_vhost_is_used_once_there, NULL),
        FIXTURE_TEST(broker_never_saw_a_wrong_tag, NULL),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, stop_all);
}
