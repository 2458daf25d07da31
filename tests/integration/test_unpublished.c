/* test_unpublished.c - handlers whose messages the broker does not take, on a real broker: what is
 * refused for good is an attempt that failed, by the rules of `retry`; what is not confirmed for
 * another reason is forgiven.
 */
#include <signal.h>

#include "dead_fixture.h"
#include "support/test.h"

/* A worker that publishes what it gets as @options say. */
static void forward(struct fixture *f, const char *top, const char *options, const char *chain)
{
    peer_declare(f->peer, f->queue, "classic");
    f->worker = worker_new(f->proxy ? proxy_uri(f->proxy) : f->broker->uri,
                           "%s\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.forward\n"
                           "    options: {%s}\n"
                           "    middleware: %s\n",
                           top, f->queue, options, chain);
    WORKER_RUN(f->worker, "plugins=" WARREN_PLUGIN_DIR "/probe.so," WARREN_PLUGIN_DIR "/links.so");
    if (!WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) > 0, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(f->worker->proc));
}

/* The message is dead after @attempts, by @reason, with @error, and nothing else is left. */
static void assert_given_up(struct fixture *f, int64_t attempts, const char *reason,
                            const char *error)
{
    struct peer_message dead;

    take_dead(f, &dead);
    assert_string_equal(dead.message_id, "m-0");
    assert_string_equal(dead.body, "m-0");
    assert_header(&dead, NOTE_REASON, reason);
    assert_header(&dead, NOTE_ERROR, error);
    assert_integer(&dead, NOTE_ATTEMPTS, attempts);
    assert_true(time_in(&dead, NOTE_FIRST_FAILURE) > 0);
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(broker_messages(f->broker, f->queue), 0);
}

/* ---- refused for good ---- */

/* No queue is bound: max_attempts holds, and the dead letter says what could not be published. */
static void returned_output_is_given_up(void **state)
{
    struct fixture *f = *state;

    forward(f, "", "exchange: amq.direct, to: nowhere",
            "[log, retry: {max_attempts: 3, policy: immediate}, recover]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_given_up(f, 3, REASON_ATTEMPTS,
                    "gave up after 3 attempts: what it published to exchange 'amq.direct' with "
                    "routing key 'nowhere' was returned: 312 NO_ROUTE");
    worker_expect_logged(f->worker, "message handled", "outcome=retry", 2);
    worker_expect_logged(f->worker, "outcome=reject", "routing key 'nowhere'", 1);
}

/* An exchange that does not exist closes the publisher's channel: the same. */
static void output_to_a_missing_exchange_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;

    forward(f, "", "exchange: no-such-exchange, to: k",
            "[log, retry: {max_attempts: 2, policy: immediate}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    take_dead(f, &dead);
    assert_integer(&dead, NOTE_ATTEMPTS, 2);
    peer_message_done(&dead);
    worker_expect_logged(f->worker, "outcome=reject",
                         "exchange 'no-such-exchange' with routing key 'k' was returned: "
                         "404 NOT_FOUND",
                         1);
    stop(f);
    assert_int_equal(broker_messages(f->broker, f->queue), 0);
}

/* So does max_age, and it counts from the first failure. */
static void max_age_holds(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;

    forward(f, "", "to: nowhere",
            "[retry: {max_attempts: 0, max_age: 300ms, policy: constant, jitter: none, "
            "initial_delay: 100ms}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    take_dead(f, &dead);
    assert_header(&dead, NOTE_REASON, REASON_AGE);
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(broker_messages(f->broker, f->queue), 0);
}

/* The delay is that of the policy; beyond in_memory_max the message takes the delay queues, and its
 * attempts are counted on the way. */
static void attempts_are_counted_through_delay_queues(void **state)
{
    struct fixture *f = *state;

    forward(f, "", "to: nowhere",
            "[log, retry: {max_attempts: 3, policy: constant, jitter: none, initial_delay: 1s, "
            "in_memory_max: 0ms}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_given_up(f, 3, REASON_ATTEMPTS,
                    "gave up after 3 attempts: what it published to queue 'nowhere' was returned: "
                    "312 NO_ROUTE");
    worker_expect_logged(f->worker, "message handled", "outcome=retry", 2);
}

/* Without retry nothing limits the attempts; they are counted, and succeed when there is a queue.
 */
static void without_retry_it_comes_again(void **state)
{
    struct fixture *f = *state;
    char *out = text("%s.out", f->queue);
    char *options = text("to: %s", out);

    forward(f, "", options, "[log]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "attempt=2", "outcome=retry") == 1, PATIENCE_MS));
    peer_declare(f->peer, out, "classic");
    assert_true(WAIT_FOR(peer_count(f->peer, out) == 1, PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    peer_delete(f->peer, out);
    free(options);
    free(out);
}

/* The key of such an attempt is free again: the next one runs, and the last one dies. */
static void idempotency_does_not_take_it_for_done(void **state)
{
    struct fixture *f = *state;

    forward(f, "store: {path: store.db}", "to: nowhere",
            "[log, retry: {max_attempts: 3, policy: immediate}, idempotency, recover]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_given_up(f, 3, REASON_ATTEMPTS,
                    "gave up after 3 attempts: what it published to queue 'nowhere' was returned: "
                    "312 NO_ROUTE");
}

/* With dead letters off the message is left to the broker, as one that the handler rejects. */
static void without_dead_letters_the_broker_rejects(void **state)
{
    struct fixture *f = *state;

    forward(f, "dead_letter: {enabled: false}", "to: nowhere",
            "[log, retry: {max_attempts: 2, policy: immediate}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "attempt=2", "outcome=reject") == 1, PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(worker_number(f->worker, "stopped", "rejected"), 1);
}

/* The refusal comes when the worker is about to stop: the attempt is counted, and the message back
 * in its queue. */
static void a_drain_counts_it(void **state)
{
    struct fixture *f = *state;
    char *chain = text("[log: {acked: info}, retry: {policy: constant, jitter: none, "
                       "initial_delay: 1s}, {links.door: {path: '%s'}}]",
                       f->gate);
    struct peer_message message;

    f->proxy = proxy_new(f->broker->port);
    forward(f, "", "to: nowhere", chain);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 1, PATIENCE_MS));
    proxy_black_hole(f->proxy, true);
    unlink(f->gate);
    assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", "outcome=ack"), PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(worker_logged(f->worker, "SIGTERM", NULL), PATIENCE_MS));
    proxy_black_hole(f->proxy, false);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 1, PATIENCE_MS));
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.message_id, "m-0");
    assert_integer(&message, NOTE_ATTEMPTS, 1);
    peer_message_done(&message);
    free(chain);
}

/* ---- not confirmed ---- */

/* A full queue refuses until it has room: no attempt counts, however many there are. */
static void a_full_queue_is_waited_for(void **state)
{
    const amqp_table_entry_t full[] = {
        {.key = amqp_cstring_bytes("x-max-length"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8,
                   .value.bytes = amqp_cstring_bytes("reject-publish")}}};
    struct fixture *f = *state;
    char *out = text("%s.out", f->queue);
    char *options = text("to: %s", out);
    char *reason = text("what it published to queue '%s' was not confirmed: nacked", out);
    struct peer_message message;

    peer_declare_with(f->peer, out, "classic", full, 2);
    peer_publish(f->peer, "", out, "in the way", 10, NULL);
    forward(f, "", options, "[log, retry: {max_attempts: 1}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "is tried again", reason) >= 2, PATIENCE_MS));
    assert_true(peer_get(f->peer, out, &message));
    assert_string_equal(message.body, "in the way");
    peer_message_done(&message);
    assert_true(WAIT_FOR(peer_get(f->peer, out, &message), PATIENCE_MS));
    assert_string_equal(message.body, "m-0");
    peer_message_done(&message);
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    assert_int_equal(worker_logged(f->worker, "message handled", "outcome=re"), 0);
    peer_delete(f->peer, out);
    free(reason);
    free(options);
    free(out);
}

/* A broker that says nothing for longer than publisher.timeout costs no attempt either. */
static void a_silent_broker_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char *out = text("%s.out", f->queue);
    char *options = text("to: %s", out);
    char *chain = text("[log, retry: {max_attempts: 1}, {links.door: {path: '%s'}}]", f->gate);

    peer_declare(f->peer, out, "classic");
    f->proxy = proxy_new(f->broker->port);
    forward(f, "publisher: {timeout: 300ms}", options, chain);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 1, PATIENCE_MS));
    proxy_black_hole(f->proxy, true);
    unlink(f->gate);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "is tried again", "was not confirmed: timeout") >= 2,
                 PATIENCE_MS));
    proxy_black_hole(f->proxy, false);
    assert_true(WAIT_FOR(peer_count(f->peer, out) >= 1, PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    peer_delete(f->peer, out);
    free(chain);
    free(options);
    free(out);
}

/* Nor does a publisher whose window is full. */
static void a_full_window_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char *out = text("%s.out", f->queue);
    char *options = text("to: %s", out);
    char *chain = text("[log, retry: {max_attempts: 1}, {links.door: {path: '%s'}}]", f->gate);

    peer_declare(f->peer, out, "classic");
    f->proxy = proxy_new(f->broker->port);
    forward(f, "publisher: {window_messages: 1, when_full: fail}", options, chain);
    peer_publish_many(f->peer, f->queue, "m", 2);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 2, PATIENCE_MS));
    proxy_black_hole(f->proxy, true);
    unlink(f->gate);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "is tried again: the publisher could not", NULL) >= 2,
                 PATIENCE_MS));
    proxy_black_hole(f->proxy, false);
    assert_true(WAIT_FOR(peer_count(f->peer, out) == 2, PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    peer_delete(f->peer, out);
    free(chain);
    free(options);
    free(out);
}

/* A handler that publishes more than the window holds leaves a part of it in the queue each time:
 * that is forgiven a few times, and then an attempt that failed, with a reason. */
static void more_than_the_window_is_given_up(void **state)
{
    struct fixture *f = *state;
    char *out = text("%s.out", f->queue);
    char *options = text("to: %s, times: 1000", out);
    char *reason = text("cannot publish to queue '%s': the publisher is full", out);
    struct peer_message dead;

    peer_declare(f->peer, out, "classic");
    forward(f, "publisher: {window_messages: 10, when_full: fail}", options,
            "[log, retry: {max_attempts: 2, policy: immediate}]");
    peer_publish_many(f->peer, f->queue, "m", 1);
    take_dead(f, &dead);
    assert_header(&dead, NOTE_REASON, REASON_ATTEMPTS);
    assert_integer(&dead, NOTE_ATTEMPTS, 2);
    peer_message_done(&dead);
    worker_expect_logged(f->worker, "is tried again", reason, 3);
    worker_expect_logged(f->worker, "outcome=reject", reason, 1);
    stop(f);
    peer_delete(f->peer, out);
    free(reason);
    free(options);
    free(out);
}

#define T(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(returned_output_is_given_up),
        T(output_to_a_missing_exchange_is_given_up),
        T(max_age_holds),
        T(attempts_are_counted_through_delay_queues),
        T(without_retry_it_comes_again),
        T(idempotency_does_not_take_it_for_done),
        T(without_dead_letters_the_broker_rejects),
        T(a_drain_counts_it),
        T(a_full_queue_is_waited_for),
        T(a_silent_broker_is_waited_for),
        T(a_full_window_is_waited_for),
        T(more_than_the_window_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
