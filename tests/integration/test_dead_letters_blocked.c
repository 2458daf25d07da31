/* test_dead_letters_blocked.c - dead letters that cannot go, on a real broker: the original stays
 * unsettled, comes again, and goes as soon as the way is free.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dead_fixture.h"

#define UNCONFIRMED "dead letter is not confirmed"

static void reject_all(struct fixture *f, const char *top, const char *options)
{
    char *all = text("outcome: reject%s", options);

    configure(f, "type: classic", top, all, "[retry, recover]");
    run(f);
    free(all);
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

/* A full dead-letter queue refuses; the message waits in its own until there is room. */
static void a_full_dead_letter_queue(void **state)
{
    struct fixture *f = *state;
    char *top = text("    - {name: %s, type: classic, "
                     "arguments: {x-max-length: 1, x-overflow: reject-publish}}",
                     f->dlq);

    reject_all(f, top, "");
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(has_dead(f, 1));
    peer_publish_many(f->peer, f->queue, "n", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, "reason=nacked"), PATIENCE_MS));
    assert_int_equal(broker_unacked(f->broker, f->queue), 1);
    assert_dead(f, "m-0");
    assert_dead(f, "n-0");
    assert_empty(f);
    free(top);
}

/* A dead-letter queue that somebody deletes is declared again, and the message is not lost. */
static void a_deleted_dead_letter_queue(void **state)
{
    struct fixture *f = *state;

    reject_all(f, "", "");
    peer_delete_alone(f->peer, f->dlq);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, "reason=\"returned"), PATIENCE_MS));
    assert_dead(f, "m-0");
    assert_empty(f);
}

/* So is the exchange. */
static void a_deleted_dead_letter_exchange(void **state)
{
    struct fixture *f = *state;

    reject_all(f, "", "");
    peer_delete_exchange(f->peer, f->dlx);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, UNCONFIRMED, NULL), PATIENCE_MS));
    assert_dead(f, "m-0");
    assert_empty(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_confirm_the_original_stays),
        T(a_full_dead_letter_queue),
        T(a_deleted_dead_letter_queue),
        T(a_deleted_dead_letter_exchange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
