/* test_dead_letters_blocked.c - dead letters that cannot go, on a real broker: the original stays
 * unsettled, comes again, and goes as soon as the way is free.
 */
#include "dead_fixture.h"
#include "support/test.h"

#define UNCONFIRMED "dead letter is not confirmed"

static void reject_all(struct fixture *f, const char *top, const char *options)
{
    char *all = text("outcome: reject%s", options);

    configure(f, "type: classic", top, all, "[retry, recover]");
    worker_consume(f->worker, 1);
    free(all);
}

/* How often the handler ran. */
static size_t calls(const struct fixture *f)
{
    char *path = worker_path(f->worker, "record");
    size_t lines = count_lines(path);

    free(path);
    return lines;
}

/* A letter of the message @id, and nothing else is there or on its way. */
static void assert_dead(struct fixture *f, const char *id)
{
    struct peer_message dead;

    take_dead(f, &dead);
    assert_string_equal(dead.message_id, id);
    assert_header(&dead, NOTE_REASON, REASON_REJECTED);
    peer_message_done(&dead);
}

static void assert_empty(struct fixture *f)
{
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
}

/* The letter lies in its queue, but the confirm has not come: the original is not acked, and when
 * the connections break it comes again. Nothing is lost; the letter is there once more. */
static void without_a_confirm_the_original_stays(void **state)
{
    struct fixture *f = *state;
    const struct proxy_rule late = {.delay_ms = 600000};
    const struct proxy_rule none = {0};
    char *options = text(", gate: '%s', gate_body: slow-0", f->gate);
    struct peer_message dead;
    unsigned copies = 0;

    f->proxy = proxy_new(f->broker->port);
    reject_all(f, "", options);
    peer_publish_many(f->peer, f->queue, "quick", 1);
    assert_dead(f, "quick-0"); /* so the publisher is connected */
    peer_publish_many(f->peer, f->queue, "slow", 1);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 1, PATIENCE_MS));
    proxy_set(f->proxy, PROXY_TO_CLIENT, &late);
    unlink(f->gate);
    assert_true(has_dead(f, 1));
    assert_int_equal(broker_unacked(f->broker, f->queue), 1);
    proxy_set(f->proxy, PROXY_TO_CLIENT, &none);
    assert_int_equal(proxy_cut(f->proxy, PROXY_RST), 2);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) >= 2, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_messages(f->broker, f->queue) == 0, PATIENCE_MS));
    stop(f);
    while (peer_get(f->peer, f->dlq, &dead)) {
        assert_string_equal(dead.message_id, "slow-0");
        peer_message_done(&dead);
        copies++;
    }
    assert_in_range(copies, 2, 3); /* the one above, sent again, and of the second attempt */
    free(options);
}

/* A full dead-letter queue refuses; the messages wait in their own, and only the copies are tried
 * again: the handler has said what it had to say, once. What waits when the worker stops is in the
 * queue again. */
static void a_full_dead_letter_queue(void **state)
{
    struct fixture *f = *state;
    char *top = text("    - {name: %s, type: classic, "
                     "arguments: {x-max-length: 1, x-overflow: reject-publish}}",
                     f->dlq);
    char *target = text("target=%s reason=nacked", f->dlq);
    struct peer_message dead;

    reject_all(f, top, "");
    peer_publish_many(f->peer, f->queue, "m", 4);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, target), PATIENCE_MS));
    for (int i = 0; i < 2; i++) {
        take_dead(f, &dead);
        assert_header(&dead, NOTE_REASON, REASON_REJECTED);
        assert_header(&dead, NOTE_ERROR, "the probe was told to answer reject");
        assert_integer(&dead, NOTE_ATTEMPTS, 1);
        peer_message_done(&dead);
    }
    assert_true(has_dead(f, 1));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 1, PATIENCE_MS));
    stop(f);
    assert_int_equal(calls(f), 4);
    assert_int_equal(peer_count(f->peer, f->queue), 1);
    assert_int_equal(peer_count(f->peer, f->dlq), 1);
    free(target);
    free(top);
}

/* A retry that the publisher has no room for waits for its way, too: each attempt is made once. */
static void a_retry_without_room(void **state)
{
    struct fixture *f = *state;
    char *options = text("fail_first: 1, gate: '%s'", f->gate);

    f->proxy = proxy_new(f->broker->port);
    configure(f, "type: classic", "publisher: {window_messages: 1, when_full: fail}", options,
              "[{retry: {policy: constant, jitter: none, initial_delay: 1s, in_memory_max: 0ms}}]");
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "m", 2);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 2, PATIENCE_MS));
    proxy_black_hole(f->proxy, true);
    unlink(f->gate);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "retry is not confirmed", "waiting=1"), PATIENCE_MS));
    proxy_black_hole(f->proxy, false);
    assert_true(WAIT_FOR(calls(f) >= 4, PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->queue);
    stop(f);
    assert_int_equal(calls(f), 4);
    free(options);
}

/* A dead-letter queue that somebody deletes is declared again, and the message is not lost. That
 * the broker returned a copy is known without a message id, too. */
static void a_deleted_dead_letter_queue(void **state)
{
    const amqp_basic_properties_t no_id = {._flags = 0};
    struct fixture *f = *state;

    reject_all(f, "", "");
    peer_delete_alone(f->peer, f->dlq);
    peer_publish(f->peer, "", f->queue, "m", 1, &no_id);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, "reason=\"returned"), PATIENCE_MS));
    assert_dead(f, "");
    assert_empty(f);
}

/* So is the exchange. */
static void a_deleted_dead_letter_exchange(void **state)
{
    struct fixture *f = *state;
    char *dlx = text("%s.dlx", f->queue);

    reject_all(f, "", "");
    peer_delete_exchange(f->peer, dlx);
    free(dlx);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, NULL), PATIENCE_MS));
    assert_dead(f, "m-0");
    assert_empty(f);
}

#define T(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_confirm_the_original_stays),
        T(a_full_dead_letter_queue),
        T(a_retry_without_room),
        T(a_deleted_dead_letter_queue),
        T(a_deleted_dead_letter_exchange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
