/* test_worker_flow.c - several subscriptions, the bounds on memory, handlers that publish, and
 * queues that come and go, all on a real broker.
 */
#include <unistd.h>

#include "support/fixture.h"

#define MIB (1 << 20)

static int setup(void **state)
{
    struct fixture *fixture;

    fixture_setup(state);
    fixture = *state;
    fixture->record = text("%s/record", fixture->directory);
    return 0;
}

/* ---- handlers that publish ---- */

static void start_forward(struct fixture *fixture, int times)
{
    peer_declare(fixture->peer, fixture->queue, "quorum");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "middleware: {retry: {max_attempts: 0}}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.forward\n"
                                 "    options: {to: %s, times: %d}",
                                 fixture->queue, fixture->other, times);
    worker_consume(fixture->worker, 1);
}

/* Everything that handlers publish is there when their input is gone. */
static void outputs_are_complete(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->other, "quorum");
    start_forward(fixture, 5);
    peer_publish_many(fixture->peer, fixture->queue, "m", 300);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->other) == 1500, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->other), 1500);
    assert_int_equal(worker_number(fixture->worker, "stopped", "acked"), 300);
}

/* An output that no queue wants is returned: its input is tried again, and succeeds once there is
 * a queue. */
static void returned_output_retries_input(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message message;

    start_forward(fixture, 1);
    peer_say(fixture->peer, fixture->queue, "precious");
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, fixture->queue, "was returned") > 0, PATIENCE_MS));
    peer_declare(fixture->peer, fixture->other, "quorum");
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->other) == 1, PATIENCE_MS));
    /* The output is there before its confirm, and the input goes only after that. */
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->queue) == 0, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_true(peer_get(fixture->peer, fixture->other, &message));
    assert_string_equal(message.body, "precious");
    peer_message_done(&message);
}

static void assert_answered(struct fixture *fixture, const char *reply_to)
{
    struct peer_message answer;

    assert_true(peer_ask(fixture->peer, fixture->queue, reply_to, "question", "number-1", &answer));
    assert_string_equal(answer.body, "question");
    assert_int_equal(answer.properties->correlation_id.len, strlen("number-1"));
    assert_memory_equal(answer.properties->correlation_id.bytes, "number-1", strlen("number-1"));
    peer_message_done(&answer);
}

/* A reply finds its way to a queue and to RabbitMQ's direct reply-to, with the correlation id. */
static void replies_reach_the_requester(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_declare(fixture->peer, fixture->other, "classic");
    fixture->worker = worker_new(
        fixture->broker->uri, "subscriptions: [{queue: %s, handler: probe.reply}]", fixture->queue);
    worker_consume(fixture->worker, 1);
    assert_answered(fixture, fixture->other);
    assert_answered(fixture, "amq.rabbitmq.reply-to");
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* ---- no starvation ---- */

/* A handler that hangs holds up neither another subscription nor, while one of its own threads is
 * idle, the messages behind it; and their acks reach the broker. */
static void stuck_handler_starves_nobody(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "classic");
    peer_declare(fixture->peer, fixture->other, "classic");
    peer_say(fixture->peer, fixture->queue, "stuck");
    peer_publish_many(fixture->peer, fixture->queue, "behind", 60);
    peer_say(fixture->peer, fixture->other, "stuck");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {ack_straggler_age: 50ms}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    concurrency: 2\n"
                                 "    prefetch: 10\n"
                                 "    options: {path: '%s', gate: '%s', gate_body: stuck}\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    concurrency: 1\n"
                                 "    options: {path: '%s', gate: '%s'}",
                                 fixture->queue, fixture->record, fixture->gate, fixture->other,
                                 fixture->record, fixture->gate);
    worker_consume(fixture->worker, 2);
    /* More than the prefetch: the acks behind the stuck one must have been sent. */
    assert_true(fixture_recorded(fixture, 60));
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->queue) == 1, PATIENCE_MS));
    assert_int_equal(broker_unacked(fixture->broker, fixture->other), 1);
    fixture_open_gate(fixture);
    assert_true(fixture_recorded(fixture, 62));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->other), 0);
}

/* ---- bounds ---- */

static void publish_large(struct fixture *fixture, size_t length, unsigned count)
{
    char *body = calloc(1, length);

    assert_non_null(body);
    for (unsigned i = 0; i < count; i++)
        peer_publish(fixture->peer, "", fixture->queue, body, length, NULL);
    free(body);
}

/* Above memory_max the socket is not read, whatever the prefetch; then all goes on. That the
 * broker has the answer to a call in the unread socket for longer than rpc_timeout is no fault. */
static void memory_is_bounded(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "classic");
    publish_large(fixture, MIB, 64);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {memory_max: 8MiB, message_max: 2MiB,"
                                 " prefetch_bytes: 4MiB}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s', gate: '%s'}",
                                 fixture->queue, fixture->record, fixture->gate);
    WORKER_RUN(fixture->worker, "broker.rpc_timeout=500ms", "broker.heartbeat=1s");
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "memory_max reached", NULL) == 1, PATIENCE_MS));
    /* Until well after both deadlines. */
    assert_false(WAIT_FOR(worker_logged(fixture->worker, "connection lost", NULL) > 0, 4000));
    if (slowness() == 1)
        assert_in_range(proc_rss_kib(fixture->worker->proc), 8 * 1024, 30 * 1024);
    fixture_open_gate(fixture);
    assert_true(fixture_recorded(fixture, 64));
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "reading again", NULL) > 0, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(count_lines(fixture->record), 64);
}

/* A message that needs all of memory_max alone gets it: the socket is read until it is whole. */
static void largest_message_passes_the_bound(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "classic");
    publish_large(fixture, MIB, 6);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {memory_max: 1MiB, message_max: 1MiB}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s'}",
                                 fixture->queue, fixture->record);
    worker_run(fixture->worker, NULL);
    assert_true(fixture_recorded(fixture, 6));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* prefetch_bytes stops one subscription alone, and never for good, not even for a message that is
 * larger than the bound. */
static void bytes_bound_one_subscription(void **state)
{
    struct fixture *fixture = *state;
    char *other;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_declare(fixture->peer, fixture->other, "quorum");
    publish_large(fixture, 300000, 30);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    prefetch_bytes: 200KiB\n"
                                 "    options: {path: '%s', gate: '%s'}\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: other}",
                                 fixture->queue, fixture->record, fixture->gate, fixture->other);
    other = worker_path(fixture->worker, "other");
    worker_consume(fixture->worker, 2);
    peer_publish_many(fixture->peer, fixture->other, "m", 100);
    assert_true(WAIT_FOR(count_lines(other) == 100, PATIENCE_MS));
    assert_int_equal(count_lines(fixture->record), 0);
    fixture_open_gate(fixture);
    assert_true(fixture_recorded(fixture, 30));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(worker_number(fixture->worker, "stopped", "redelivered"), 0);
    free(other);
}

/* ---- queues that come and go ---- */

static void start_topology(struct fixture *fixture)
{
    fixture->worker = worker_new(fixture->broker->uri,
                                 "topology: {queues: [{name: %s, type: classic}, {name: %s}]}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s'}",
                                 fixture->other, fixture->queue, fixture->queue, fixture->record);
    worker_consume(fixture->worker, 1);
}

/* A queue that is deleted under its consumer is declared again and consumed from. */
static void deleted_queue_comes_back(void **state)
{
    struct fixture *fixture = *state;

    start_topology(fixture);
    peer_say(fixture->peer, fixture->queue, "before");
    assert_true(fixture_recorded(fixture, 1));
    peer_delete(fixture->peer, fixture->queue);
    assert_true(WAIT_FOR(
        worker_logged(fixture->worker, "consuming interrupted", fixture->queue) >= 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_consumers(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
    peer_say(fixture->peer, fixture->queue, "after");
    assert_true(fixture_recorded(fixture, 2));
    assert_int_equal(worker_stop(fixture->worker), 0);
    /* RabbitMQ 3.10 may fail by itself where a queue is declared while it is being deleted. */
    worker_expect_logged(
        fixture->worker, "connected", NULL,
        2 + worker_logged(fixture->worker, "connection lost", "541 INTERNAL_ERROR"));
}

/* What cannot be declared is logged once with both sides, also when everything is declared again,
 * and keeps nobody from consuming. */
static void refused_declaration_is_told_once(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->other, "quorum"); /* the worker wants a classic one */
    start_topology(fixture);
    peer_say(fixture->peer, fixture->queue, "before");
    assert_true(fixture_recorded(fixture, 1));
    peer_delete(fixture->peer, fixture->queue);
    assert_true(WAIT_FOR(peer_consumers(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
    peer_say(fixture->peer, fixture->queue, "after");
    assert_true(fixture_recorded(fixture, 2));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "refused a declaration", fixture->other, 1);
    worker_expect_logged(fixture->worker, "refused a declaration", "quorum", 1);
    worker_expect_logged(fixture->worker, "refused a declaration", "classic", 1);
}

/* A queue that is not there is waited for, told once, and consumed from when it comes. */
static void missing_queue_is_awaited(void **state)
{
    struct fixture *fixture = *state;

    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s'}",
                                 fixture->queue, fixture->record);
    worker_run(fixture->worker, NULL);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "consuming interrupted", "404") == 1, PATIENCE_MS));
    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_say(fixture->peer, fixture->queue, "at last");
    assert_true(fixture_recorded(fixture, 1));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "consuming interrupted", NULL, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outputs_are_complete, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(returned_output_retries_input, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(replies_reach_the_requester, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(stuck_handler_starves_nobody, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(largest_message_passes_the_bound, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(bytes_bound_one_subscription, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deleted_queue_comes_back, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(refused_declaration_is_told_once, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(missing_queue_is_awaited, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
