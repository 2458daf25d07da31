/* test_fault_worker_spool.c - a worker with `spool.path` while the broker takes no publishes (a
 * memory alarm, which blocks connections that publish and no others): handlers go on, inputs are
 * acked, and what they published arrives later, also if the worker is killed meanwhile.
 */
#include <signal.h>

#include "support/command.h"
#include "support/fixture.h"

#define LONG_MS (2 * PATIENCE_MS)

static int setup(void **state)
{
    struct fixture *f;

    *state = "classic";
    fixture_setup(state);
    f = *state;
    f->worker = worker_new(f->broker->uri,
                           "spool: {path: %s}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.forward\n"
                           "    concurrency: 4\n"
                           "    options: {to: %s, times: 1}",
                           f->spool, f->queue, f->other);
    return 0;
}

/* Every input is handled, and its ack has come. */
static void wait_for_inputs(const struct fixture *f)
{
    assert_true(WAIT_FOR(broker_messages(f->broker, f->queue) == 0, LONG_MS));
}

static void kill_worker(const struct fixture *f)
{
    proc_signal(f->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(f->worker->proc, LONG_MS), PROC_SIGNAL + SIGKILL);
    proc_free(f->worker->proc);
    f->worker->proc = NULL;
}

static void expect_listed(const struct fixture *f, const char *part)
{
    struct command command = COMMAND("spool", "list", f->spool, "--json");

    command_expect(&command, 0);
    if (!strstr(command.out, part))
        fail_msg("\"%s\" is not in: %s", part, command.out);
    command_done(&command);
}

#define IDS_MAX 1000

struct ids {
    char texts[IDS_MAX][256];
    unsigned count;
};

static void add_id(const struct peer_message *message, void *user)
{
    struct ids *ids = user;

    for (unsigned i = 0; i < ids->count; i++)
        if (strcmp(ids->texts[i], message->message_id) == 0)
            return;
    assert_true(ids->count < IDS_MAX);
    snprintf(ids->texts[ids->count++], sizeof ids->texts[0], "%s", message->message_id);
}

/* Copies have the id of the first: what lay in the socket of a killed process arrives, too, once
 * the broker reads it. */
static void expect_distinct(const struct fixture *f, unsigned count)
{
    struct ids *ids = calloc(1, sizeof *ids);

    assert_non_null(ids);
    peer_drain(f->peer, f->other, add_id, ids);
    assert_int_equal(ids->count, count);
    free(ids);
}

/* Nothing is wrong: what handlers publish arrives before their inputs go, and the file is empty. */
static void without_a_fault(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "classic");
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "m", 300);
    wait_for_inputs(f);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->other), 300);
    expect_listed(f, "\"to_send\":0,\"refused\":0,\"bytes\":0");
}

/* Inputs are acked while the broker takes no outputs; the worker is killed; the next one says what
 * it finds, and sends all of it. */
static void outputs_survive_alarm_and_kill(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "classic");
    peer_publish_many(f->peer, f->queue, "m", 200);
    broker_memory_alarm(f->broker, true);
    worker_consume(f->worker, 1);
    wait_for_inputs(f);
    kill_worker(f);
    expect_listed(f, "\"to_send\":200,\"refused\":0");
    worker_consume(f->worker, 1);
    assert_int_equal(worker_number(f->worker, "messages in the spool", "messages"), 200);
    assert_int_equal(peer_count(f->peer, f->other), 0);
    broker_memory_alarm(f->broker, false);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) >= 200, LONG_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    expect_distinct(f, 200);
    expect_listed(f, "\"to_send\":0,\"refused\":0");
}

/* SIGTERM does not wait for the alarm's end: the worker says what it leaves on disk. */
static void a_drain_leaves_outputs_on_disk(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "classic");
    peer_publish_many(f->peer, f->queue, "m", 20);
    broker_memory_alarm(f->broker, true);
    worker_consume(f->worker, 1);
    wait_for_inputs(f);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(worker_number(f->worker, "messages in the spool", "messages"), 20);
    expect_listed(f, "\"to_send\":20,\"refused\":0");
}

/* Unroutable, which shows only when the input has gone: told, and kept for `warren spool`, with
 * which an operator has the worker send it once its queue is there. */
static void refused_outputs_are_told_and_kept(void **state)
{
    struct fixture *f = *state;
    struct command command;

    peer_publish_many(f->peer, f->queue, "m", 1);
    broker_memory_alarm(f->broker, true);
    worker_consume(f->worker, 1);
    wait_for_inputs(f);
    broker_memory_alarm(f->broker, false);
    assert_true(WAIT_FOR(
        worker_logged(f->worker, "the broker refused message", "312 NO_ROUTE") == 1, LONG_MS));
    expect_listed(f, "\"to_send\":0,\"refused\":1");
    peer_declare(f->peer, f->other, "classic");
    command = COMMAND("spool", "flush", f->spool, "--refused");
    command_expect(&command, 0);
    command_done(&command);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 1, LONG_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    expect_listed(f, "\"to_send\":0,\"refused\":0,\"bytes\":0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_fault),
        TEST(outputs_survive_alarm_and_kill),
        TEST(a_drain_leaves_outputs_on_disk),
        TEST(refused_outputs_are_told_and_kept),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
