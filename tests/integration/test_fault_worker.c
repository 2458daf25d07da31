/* test_fault_worker.c - a worker whose broker closes connections, dies, hangs, is not there, or
 * raises an alarm. Each run under load is counted and summed up in one line.
 */
#include <signal.h>
#include <unistd.h>

#include "support/broker.h"
#include "support/peer.h"
#include "support/tally.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define PREFETCH  50
#define WINDOW    20   /* of the publisher, in messages */
#define FORWARDED 3000 /* in the tests of alarms */

static struct broker *broker;
static uint32_t random_state;

/* Of the test at hand; freed also if it fails. */
static struct worker *worker;
static struct tally *tally;
static struct tally *other_tally;

/* The vhost that is missing at first; the worker waits half a minute before it looks again, so it
 * does that beside the other tests. */
static struct worker *early;
static char *early_record;

static int start_all(void **state)
{
    (void)state;
    broker = broker_own("fault-worker", false);
    random_state = TALLY_SEED;
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    worker_free(early);
    free(early_record);
    broker_free(broker);
    return 0;
}

static void set_alarm(bool raised)
{
    broker_memory_alarm(broker, raised);
}

static int clean_up(void **state)
{
    (void)state;
    broker_restore(broker);
    worker_free(worker);
    tally_free(tally);
    tally_free(other_tally);
    worker = NULL;
    tally = other_tally = NULL;
    return 0;
}

/* Numerical Recipes' linear congruential generator: the same faults in every run. */
static unsigned random_below(unsigned bound)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % bound;
}

static void fill(const char *queue, const char *type, unsigned count)
{
    struct peer *peer = peer_new(broker->uri);

    peer_declare(peer, queue, type);
    peer_publish_many(peer, queue, queue, count);
    peer_free(peer);
}

static int ready(const char *queue)
{
    struct peer *peer = peer_new(broker->uri);
    int count = peer_count(peer, queue);

    peer_free(peer);
    return count;
}

static struct worker *recorder(const char *queue, const char *more)
{
    return worker_new(broker->uri,
                      "consumer: {prefetch: %d}\n"
                      "subscriptions:\n"
                      "  - queue: %s\n"
                      "    handler: probe.record\n"
                      "    options: {path: record, %s}",
                      PREFETCH, queue, more);
}

static struct tally *tally_of(const char *record, const char *queue, unsigned count)
{
    char *path = worker_path(worker, record);
    struct tally *made = tally_new(path, queue, count);

    free(path);
    return made;
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
static void assert_handled(bool in_time, struct tally *books, const char *queue)
{
    if (in_time)
        return;
    fprintf(stderr, "%s: %u handled of %u, %d ready on the broker\n", queue, books->ok,
            books->count, ready(queue));
    fail();
}

/* A quorum queue carries acks out some time after it took them. */
static void assert_emptied(const char *queue)
{
    if (!WAIT_FOR(ready(queue) == 0, PATIENCE_MS))
        fail_msg("%s: %d messages are left that were acked", queue, ready(queue));
}

static void wait_for(struct tally *books, const char *queue, unsigned ok)
{
    assert_handled(tally_wait(books, ok, PATIENCE_MS), books, queue);
}

static void wait_under_load(struct tally *books, const char *queue, unsigned ok)
{
    assert_handled(tally_wait_fed(books, broker, queue, ok, PATIENCE_MS), books, queue);
}

/* ---- connections ---- */

/* Both connections of the worker are closed by the broker again and again: it comes back each
 * time, and only what was in flight is handled twice. */
static void connections_closed_in_a_loop(void **state)
{
    enum { CUTS = 20 };

    (void)state;
    fill("cut", "quorum", 0);
    worker = recorder("cut", "delay: 1ms");
    tally = tally_of("record", "cut", 0);
    worker_run(worker, NULL);
    for (unsigned i = 0; i < CUTS; i++) {
        wait_under_load(tally, "cut", tally->ok + PREFETCH + random_below(200));
        assert_true(WAIT_FOR(broker_close_connections(broker, "warren") > 0, PATIENCE_MS));
    }
    assert_true(tally_wait(tally, tally->count, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    tally_update(tally);
    tally_print(tally, broker, "quorum", (int)worker_number(worker, "stopped", "connects") - 1,
                "20 times all connections closed by the broker");
    assert_kept(tally, CUTS * PREFETCH);
    assert_emptied("cut");
}

/* ---- the node ---- */

static int times_consuming(const char *queue)
{
    char *line = text("consuming queue=%s", queue);
    int times = worker_logged(worker, line, NULL);

    free(line);
    return times;
}

/* The node is killed and started again; the worker has noticed, and consumes anew. */
static void kill_node(int life)
{
    broker_kill(broker);
    broker_do(broker, "start");
    assert_true(WAIT_FOR(times_consuming("kill-q") == life && times_consuming("kill-c") == life,
                         PATIENCE_MS));
}

/* The node is killed under load and started again: nothing that it confirmed is lost. */
static void node_killed_under_load(void **state)
{
    enum { KILLS = 3 };
    int recovered;

    (void)state;
    fill("kill-q", "quorum", 0);
    fill("kill-c", "classic", 0);
    worker = worker_new(broker->uri,
                        "consumer: {prefetch: %d}\n"
                        "subscriptions:\n"
                        "  - queue: kill-q\n"
                        "    handler: probe.record\n"
                        "    options: {path: quorum, delay: 1ms}\n"
                        "  - queue: kill-c\n"
                        "    handler: probe.record\n"
                        "    options: {path: classic, delay: 1ms}",
                        PREFETCH);
    tally = tally_of("quorum", "kill-q", 0);
    other_tally = tally_of("classic", "kill-c", 0);
    worker_consume(worker, 2);
    for (int i = 0; i < KILLS; i++) {
        wait_under_load(tally, "kill-q", tally->ok + 2 * PREFETCH + random_below(300));
        wait_under_load(other_tally, "kill-c", other_tally->ok + 1);
        kill_node(i + 2);
    }
    wait_for(tally, "kill-q", tally->count);
    wait_for(other_tally, "kill-c", other_tally->count);
    /* Acks that the classic queue forgot: their messages come once more. */
    assert_true(WAIT_FOR(broker_messages(broker, "kill-c") == 0, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    tally_update(tally);
    tally_update(other_tally);
    recovered = (int)worker_number(worker, "stopped", "connects") - 1;
    tally_print(tally, broker, "quorum", recovered, "3 SIGKILL of the broker");
    tally_print(other_tally, broker, "classic", recovered, "3 SIGKILL of the broker");
    assert_kept(tally, KILLS * PREFETCH);
    /* A classic queue keeps acks in memory for long; what it forgot of them it delivers again. */
    assert_kept(other_tally, KILLS * other_tally->count);
    assert_true(recovered >= KILLS);
    assert_emptied("kill-q");
    assert_int_equal(ready("kill-c"), 0);
}

/* A node that hangs is given up after two heartbeats, and used again when it comes back. */
static void node_hangs_for_several_heartbeats(void **state)
{
    enum { HANG_MS = 4000 };
    int64_t paused_ms;

    (void)state;
    fill("hang", "quorum", 0);
    worker = recorder("hang", "delay: 2ms");
    tally = tally_of("record", "hang", 0);
    WORKER_RUN(worker, "broker.heartbeat=1s", "broker.connect_timeout=1s");
    wait_under_load(tally, "hang", 4 * PREFETCH);
    broker_do(broker, "pause");
    paused_ms = now_ms();
    assert_true(
        WAIT_FOR(worker_logged(worker, "connection lost", "two heartbeats") == 2, PATIENCE_MS));
    assert_false(WAIT_FOR(worker_logged(worker, "msg=connected", NULL) > 2,
                          HANG_MS - (now_ms() - paused_ms)));
    broker_do(broker, "resume");
    assert_true(tally_wait(tally, tally->count, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    tally_update(tally);
    tally_print(tally, broker, "quorum", (int)worker_number(worker, "stopped", "connects") - 1,
                "1 SIGSTOP of the broker for 4 s, heartbeat 1 s");
    assert_kept(tally, PREFETCH);
    assert_emptied("hang");
}

/* A worker that starts before its broker waits for it. */
static void broker_comes_after_the_worker(void **state)
{
    enum { COUNT = 200 };

    (void)state;
    fill("late", "quorum", COUNT);
    broker_do(broker, "stop");
    worker = recorder("late", "");
    tally = tally_of("record", "late", COUNT);
    worker_run(worker, NULL);
    assert_true(
        WAIT_FOR(worker_logged(worker, "cannot connect", "nothing listens") > 4, PATIENCE_MS));
    broker_do(broker, "start");
    assert_true(tally_wait(tally, COUNT, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    tally_update(tally);
    tally_print(tally, broker, "quorum", 0, "broker absent at start");
    assert_kept(tally, 0);
}

/* ---- acks ---- */

/* What was in a handler when the connection broke is not acked on the next one, where its tag
 * would mean another message: it is counted as stale and handled again. */
static void old_acks_are_stale(void **state)
{
    enum { COUNT = 100, THREADS = 4 };
    char *gate = write_file(WARREN_BINARY_DIR, "stale-gate", "");
    char *options = text("gate: '%s'", gate);

    (void)state;
    fill("stale", "quorum", COUNT);
    worker = recorder("stale", options);
    tally = tally_of("record", "stale", COUNT);
    worker_consume(worker, 1);
    assert_true(WAIT_FOR(ready("stale") == COUNT - PREFETCH, PATIENCE_MS));
    assert_true(broker_close_connections(broker, "warren worker") > 0);
    assert_true(WAIT_FOR(worker_logged(worker, "consuming queue=stale", NULL) == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(ready("stale") == COUNT - PREFETCH, PATIENCE_MS));
    unlink(gate);
    assert_true(tally_wait(tally, COUNT, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    tally_update(tally);
    tally_print(tally, broker, "quorum", 1, "1 connection closed by the broker, handlers stuck");
    assert_kept(tally, THREADS);
    assert_int_equal(tally->duplicates, THREADS);
    assert_int_equal(worker_number(worker, "stopped", "stale"), PREFETCH);
    assert_emptied("stale");
    free(options);
    free(gate);
}

/* ---- alarms ---- */

static struct worker *forwarder(const char *in, const char *out, const char *other)
{
    return worker_new(broker->uri,
                      "consumer: {prefetch: %d}\n"
                      "publisher: {window_messages: %d}\n"
                      "subscriptions:\n"
                      "  - {queue: %s, handler: probe.forward, options: {to: %s}}\n"
                      "  - {queue: %s, handler: probe.record, options: {path: record}}",
                      PREFETCH, WINDOW, in, out, other);
}

/* While a memory alarm keeps handlers from publishing, no input of theirs is acked, other
 * subscriptions go on, acks included, and nothing grows; then everything goes on. */
static void alarm_blocks_publishing_alone(void **state)
{
    enum { OTHERS = 500 };

    (void)state;
    worker = forwarder("alarm-in", "alarm-out", "alarm-other");
    tally = tally_of("record", "alarm-other", OTHERS);
    fill("alarm-in", "quorum", FORWARDED);
    fill("alarm-out", "quorum", 0);
    fill("alarm-other", "classic", OTHERS);
    set_alarm(true);
    worker_run(worker, NULL);
    assert_true(WAIT_FOR(worker_logged(worker, "blocks publishing", NULL) == 1, PATIENCE_MS));
    assert_true(tally_wait(tally, OTHERS, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(broker, "alarm-other") == 0, PATIENCE_MS));
    assert_int_equal(ready("alarm-other"), 0);
    assert_int_equal(ready("alarm-in"), FORWARDED - PREFETCH); /* none was acked */
    assert_int_equal(ready("alarm-out"), 0);
    set_alarm(false);
    assert_true(WAIT_FOR(ready("alarm-out") >= FORWARDED, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    printf("alarm: forwarded %d of %d; lost %d; others handled %u\n", ready("alarm-out"), FORWARDED,
           FORWARDED - ready("alarm-out"), tally->ok);
    assert_int_equal(ready("alarm-out"), FORWARDED);
    assert_int_equal(ready("alarm-in"), 0);
    assert_int_equal(worker_logged(worker, "connection lost", NULL), 0);
    assert_kept(tally, 0);
}

/* SIGTERM during an alarm: the worker ends by drain.timeout, with all inputs on their queue. */
static void sigterm_during_an_alarm(void **state)
{
    enum { COUNT = 200 };
    int64_t began_ms;
    int status;

    (void)state;
    worker = forwarder("alarm-in", "alarm-out", "alarm-other");
    fill("alarm-in", "quorum", COUNT);
    fill("alarm-out", "quorum", 0);
    fill("alarm-other", "classic", 0);
    set_alarm(true);
    WORKER_RUN(worker, "drain.timeout=2s");
    assert_true(WAIT_FOR(worker_logged(worker, "blocks publishing", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(ready("alarm-in") == COUNT - PREFETCH, PATIENCE_MS));
    proc_signal(worker->proc, SIGTERM);
    began_ms = now_ms();
    status = proc_wait(worker->proc, (2000 + 1500) * slowness());
    printf("SIGTERM during an alarm, drain.timeout 2 s: status %d after %d ms\n", status,
           (int)(now_ms() - began_ms));
    assert_true(status == 0 || status == 1);
    set_alarm(false);
    assert_true(WAIT_FOR(ready("alarm-in") == COUNT, PATIENCE_MS));
    /* What the publisher had sent when the broker stopped reading it is read now. */
    assert_in_range(ready("alarm-out"), FORWARDED, FORWARDED + WINDOW);
}

/* ---- a vhost that is missing at first ---- */

static void missing_vhost_is_refused(void **state)
{
    char *uri = text("%sfault-later", broker->uri);

    (void)state;
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
    free(broker_vhost(broker, "fault-later"));
}

static void missing_vhost_is_used_once_there(void **state)
{
    char *uri = text("%sfault-later", broker->uri);
    struct peer *peer = peer_new(uri);

    (void)state;
    assert_true(WAIT_FOR(peer_consumers(peer, "early") == 1, 40000 + PATIENCE_MS));
    peer_publish(peer, "", "early", "x", 1, NULL);
    assert_true(WAIT_FOR(count_lines(early_record) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(early), 0);
    peer_free(peer);
    free(uri);
}

/* ---- after all of it ---- */

/* In everything above the broker has never been told a tag that it did not know. */
static void broker_never_saw_a_wrong_tag(void **state)
{
    char *log = broker_log(broker);

    (void)state;
    assert_non_null(strstr(log, "accepting AMQP connection")); /* it is the log that we mean */
    assert_null(strstr(log, "unknown delivery tag")); /* 406; others are looks at a limit */
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(missing_vhost_is_refused, clean_up),
        cmocka_unit_test_teardown(connections_closed_in_a_loop, clean_up),
        cmocka_unit_test_teardown(node_killed_under_load, clean_up),
        cmocka_unit_test_teardown(node_hangs_for_several_heartbeats, clean_up),
        cmocka_unit_test_teardown(broker_comes_after_the_worker, clean_up),
        cmocka_unit_test_teardown(old_acks_are_stale, clean_up),
        cmocka_unit_test_teardown(alarm_blocks_publishing_alone, clean_up),
        cmocka_unit_test_teardown(sigterm_during_an_alarm, clean_up),
        cmocka_unit_test_teardown(missing_vhost_is_used_once_there, clean_up),
        cmocka_unit_test_teardown(broker_never_saw_a_wrong_tag, clean_up),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
