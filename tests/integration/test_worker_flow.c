/* test_worker_flow.c - several subscriptions, the bounds on memory, handlers that publish, and
 * queues that come and go, all on a real broker.
 */
#include <unistd.h>

#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define PATIENCE_MS (20000 * (int64_t)slowness())
#define MIB         (1 << 20)

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *in;
    char *out;
    char *record;
    char *gate;
    struct worker *worker;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->broker = broker_shared();
    fixture->peer = peer_new(fixture->broker->uri);
    fixture->in = unique_name("in");
    fixture->out = unique_name("out");
    fixture->record = text("%s/%s.record", WARREN_BINARY_DIR, fixture->in);
    fixture->gate = write_file(WARREN_BINARY_DIR, fixture->in, "");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    peer_delete(fixture->peer, fixture->in);
    peer_delete(fixture->peer, fixture->out);
    peer_free(fixture->peer);
    broker_free(fixture->broker);
    unlink(fixture->record);
    unlink(fixture->gate);
    free(fixture->record);
    free(fixture->gate);
    free(fixture->in);
    free(fixture->out);
    free(fixture);
    return 0;
}

static void open_gate(struct fixture *fixture)
{
    assert_int_equal(unlink(fixture->gate), 0);
}

static bool recorded(struct fixture *fixture, size_t lines)
{
    return WAIT_FOR(count_lines(fixture->record) >= lines, PATIENCE_MS);
}

static void publish(struct fixture *fixture, const char *queue, const char *body)
{
    peer_publish(fixture->peer, "", queue, body, strlen(body), NULL);
}

/* ---- handlers that publish ---- */

static void start_forward(struct fixture *fixture, int times)
{
    peer_declare(fixture->peer, fixture->in, "quorum");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "middleware: {retry: {max_attempts: 0}}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.forward\n"
                                 "    options: {to: %s, times: %d}",
                                 fixture->in, fixture->out, times);
    worker_consume(fixture->worker, 1);
}

/* Everything that handlers publish is there when their input is gone. */
static void outputs_are_complete(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->out, "quorum");
    start_forward(fixture, 5);
    peer_publish_many(fixture->peer, fixture->in, "m", 300);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->out) == 1500, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->out), 1500);
    assert_int_equal(worker_number(fixture->worker, "stopped", "acked"), 300);
}

/* An output that no queue wants is returned: its input is tried again, and succeeds once there is
 * a queue. */
static void returned_output_retries_input(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message message;

    start_forward(fixture, 1);
    publish(fixture, fixture->in, "precious");
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, fixture->in, "was returned") > 0, PATIENCE_MS));
    peer_declare(fixture->peer, fixture->out, "quorum");
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->out) == 1, PATIENCE_MS));
    /* The output is there before its confirm, and the input goes only after that. */
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->in) == 0, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
    assert_true(peer_get(fixture->peer, fixture->out, &message));
    assert_string_equal(message.body, "precious");
    peer_message_done(&message);
}

static void assert_answered(struct fixture *fixture, const char *reply_to)
{
    struct peer_message answer;

    assert_true(peer_ask(fixture->peer, fixture->in, reply_to, "question", "number-1", &answer));
    assert_string_equal(answer.body, "question");
    assert_int_equal(answer.properties->correlation_id.len, strlen("number-1"));
    assert_memory_equal(answer.properties->correlation_id.bytes, "number-1", strlen("number-1"));
    peer_message_done(&answer);
}

/* A reply finds its way to a queue and to RabbitMQ's direct reply-to, with the correlation id. */
static void replies_reach_the_requester(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->in, "quorum");
    peer_declare(fixture->peer, fixture->out, "classic");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions: [{queue: %s, handler: probe.reply}]", fixture->in);
    worker_consume(fixture->worker, 1);
    assert_answered(fixture, fixture->out);
    assert_answered(fixture, "amq.rabbitmq.reply-to");
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
}

/* ---- no starvation ---- */

/* A handler that hangs holds up neither another subscription nor, while one of its own threads is
 * idle, the messages behind it; and their acks reach the broker. */
static void stuck_handler_starves_nobody(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->in, "classic");
    peer_declare(fixture->peer, fixture->out, "classic");
    publish(fixture, fixture->in, "stuck");
    peer_publish_many(fixture->peer, fixture->in, "behind", 60);
    publish(fixture, fixture->out, "stuck");
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
                                 fixture->in, fixture->record, fixture->gate, fixture->out,
                                 fixture->record, fixture->gate);
    worker_consume(fixture->worker, 2);
    /* More than the prefetch: the acks behind the stuck one must have been sent. */
    assert_true(recorded(fixture, 60));
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->in) == 1, PATIENCE_MS));
    assert_int_equal(broker_unacked(fixture->broker, fixture->out), 1);
    open_gate(fixture);
    assert_true(recorded(fixture, 62));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->out), 0);
}

/* ---- bounds ---- */

static void publish_large(struct fixture *fixture, size_t length, unsigned count)
{
    char *body = calloc(1, length);

    assert_non_null(body);
    for (unsigned i = 0; i < count; i++)
        peer_publish(fixture->peer, "", fixture->in, body, length, NULL);
    free(body);
}

/* Above memory_max the socket is not read, whatever the prefetch; then all goes on. That the
 * broker has the answer to a call in the unread socket for longer than rpc_timeout is no fault. */
static void memory_is_bounded(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->in, "classic");
    publish_large(fixture, MIB, 64);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {memory_max: 8MiB, message_max: 2MiB,"
                                 " prefetch_bytes: 4MiB}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s', gate: '%s'}",
                                 fixture->in, fixture->record, fixture->gate);
    WORKER_RUN(fixture->worker, "broker.rpc_timeout=500ms", "broker.heartbeat=1s");
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "memory_max reached", NULL) == 1, PATIENCE_MS));
    /* Until well after both deadlines. */
    assert_false(WAIT_FOR(worker_logged(fixture->worker, "connection lost", NULL) > 0, 4000));
    if (slowness() == 1)
        assert_in_range(proc_rss_kib(fixture->worker->proc), 8 * 1024, 30 * 1024);
    open_gate(fixture);
    assert_true(recorded(fixture, 64));
    assert_true(worker_logged(fixture->worker, "reading again", NULL) > 0);
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
    assert_int_equal(count_lines(fixture->record), 64);
}

/* A message that needs all of memory_max alone gets it: the socket is read until it is whole. */
static void largest_message_passes_the_bound(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->in, "classic");
    publish_large(fixture, MIB, 6);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {memory_max: 1MiB, message_max: 1MiB}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: '%s'}",
                                 fixture->in, fixture->record);
    worker_run(fixture->worker, NULL);
    assert_true(recorded(fixture, 6));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
}

/* prefetch_bytes stops one subscription alone, and never for good, not even for a message that is
 * larger than the bound. */
static void bytes_bound_one_subscription(void **state)
{
    struct fixture *fixture = *state;
    char *other;

    peer_declare(fixture->peer, fixture->in, "quorum");
    peer_declare(fixture->peer, fixture->out, "quorum");
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
                                 fixture->in, fixture->record, fixture->gate, fixture->out);
    other = worker_path(fixture->worker, "other");
    worker_consume(fixture->worker, 2);
    peer_publish_many(fixture->peer, fixture->out, "m", 100);
    assert_true(WAIT_FOR(count_lines(other) == 100, PATIENCE_MS));
    assert_int_equal(count_lines(fixture->record), 0);
    open_gate(fixture);
    assert_true(recorded(fixture, 30));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->in), 0);
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
                                 fixture->out, fixture->in, fixture->in, fixture->record);
    worker_consume(fixture->worker, 1);
}

/* A queue that is deleted under its consumer is declared again and consumed from. */
static void deleted_queue_comes_back(void **state)
{
    struct fixture *fixture = *state;

    start_topology(fixture);
    publish(fixture, fixture->in, "before");
    assert_true(recorded(fixture, 1));
    peer_delete(fixture->peer, fixture->in);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "consuming interrupted", fixture->in) == 1,
                         PATIENCE_MS));
    assert_true(WAIT_FOR(peer_consumers(fixture->peer, fixture->in) == 1, PATIENCE_MS));
    publish(fixture, fixture->in, "after");
    assert_true(recorded(fixture, 2));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "connected", NULL, 2);
}

/* What cannot be declared is logged once with both sides, also when everything is declared again,
 * and keeps nobody from consuming. */
static void refused_declaration_is_told_once(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->out, "quorum"); /* the worker wants a classic one */
    start_topology(fixture);
    publish(fixture, fixture->in, "before");
    assert_true(recorded(fixture, 1));
    peer_delete(fixture->peer, fixture->in);
    assert_true(WAIT_FOR(peer_consumers(fixture->peer, fixture->in) == 1, PATIENCE_MS));
    publish(fixture, fixture->in, "after");
    assert_true(recorded(fixture, 2));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "refused a declaration", fixture->out, 1);
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
                                 fixture->in, fixture->record);
    worker_run(fixture->worker, NULL);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "consuming interrupted", "404") == 1, PATIENCE_MS));
    peer_declare(fixture->peer, fixture->in, "quorum");
    publish(fixture, fixture->in, "at last");
    assert_true(recorded(fixture, 1));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "consuming interrupted", NULL, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outputs_are_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(returned_output_retries_input, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_reach_the_requester, setup, teardown),
        cmocka_unit_test_setup_teardown(stuck_handler_starves_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(largest_message_passes_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_bound_one_subscription, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted_queue_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_declaration_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_queue_is_awaited, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
