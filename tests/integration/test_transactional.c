/* test_transactional.c - a handler that writes and publishes in one transaction: both happen, each
 * once, or neither does, whatever it answers and whenever the worker dies.
 */
#include <signal.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/stored.h"

/* @more  of the top of the file; @middleware between log and the handler */
static struct worker *bank(struct fixture *f, const char *more, const char *outcome,
                           const char *middleware)
{
    peer_declare(f->peer, f->other, "classic");
    return worker_new(f->broker->uri,
                      "store: {path: store.db}\n"
                      "consumer: {prefetch: 20}\n"
                      "%s\n"
                      "subscriptions:\n"
                      "  - queue: %s\n"
                      "    handler: bank.pay\n"
                      "    concurrency: 2\n"
                      "    options: {to: %s, outcome: %s}\n"
                      "    middleware: [log: {acked: debug}, retry: {max_attempts: 2, policy: "
                      "immediate}, %s]\n",
                      more, f->queue, f->other, outcome, middleware);
}

#define WITH_SPOOL "spool: {path: store.db}"

static void publish(struct fixture *f, const char *id, const char *body, const char *reply_to)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = 2};

    if (id) {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(id);
    }
    if (reply_to) {
        properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
        properties.reply_to = amqp_cstring_bytes(reply_to);
    }
    peer_publish(f->peer, "", f->queue, body, strlen(body), &properties);
}

/* Innocent messages around a guilty one. */
enum { AROUND = 50 };

#define PAYMENTS "SELECT count(*) FROM payment"
#define DONE     "SELECT count(*) FROM done"
#define SPOOLED  "SELECT count(*) FROM spool"

/* Published twice, each payment is booked once and has one receipt, which leaves the spool when
 * the broker has it. */
static void booked_and_published_once(void **state)
{
    enum { COUNT = 200 };
    struct fixture *f = *state;

    f->worker = bank(f, WITH_SPOOL, "ack", "idempotency");
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == COUNT, PATIENCE_MS));
    assert_true(WAIT_FOR(stored_number(f->worker, SPOOLED) == 0, PATIENCE_MS));
    assert_int_equal(stored_number(f->worker, PAYMENTS), COUNT);
    assert_int_equal(stored_number(f->worker, DONE), COUNT);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->other), COUNT);
}

/* Answers without success undo what was written and what was published. What is discarded is
 * remembered all the same. */
static void no_effect_without_ack(void **state)
{
    static const char *const outcomes[] = {"retry", "reject", "discard"};
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        f->worker = bank(f, WITH_SPOOL, outcomes[i], "idempotency");
        worker_consume(f->worker, 1);
        publish(f, "one", "", NULL);
        assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", "outcome") > 0 ||
                                 stored_number(f->worker, DONE) > 0,
                             PATIENCE_MS));
        worker_expect_empty(f->worker, f->broker, f->queue);
        assert_int_equal(worker_stop(f->worker), 0);
        assert_int_equal(stored_number(f->worker, PAYMENTS), 0);
        assert_int_equal(stored_number(f->worker, SPOOLED), 0);
        assert_int_equal(stored_number(f->worker, DONE), i == 2);
        worker_free(f->worker);
        f->worker = NULL;
    }
    assert_int_equal(peer_count(f->peer, f->other), 0);
}

/* Replies wait for the commit, too; a duplicate gets the same one again. */
static void a_reply_is_part_of_it(void **state)
{
    struct fixture *f = *state;
    char *answers = unique_name("answers");
    struct peer_message answer;

    peer_declare(f->peer, answers, "classic");
    f->worker = bank(f, WITH_SPOOL, "ack", "idempotency");
    worker_consume(f->worker, 1);
    for (int i = 0; i < 2; i++) {
        publish(f, "one", "", answers);
        assert_true(WAIT_FOR(peer_count(f->peer, answers) == 1, PATIENCE_MS));
        assert_true(peer_get(f->peer, answers, &answer));
        assert_string_equal(answer.body, "receipt-one");
        peer_message_done(&answer);
    }
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), 1);
    peer_delete(f->peer, answers);
    free(answers);
}

static void assert_rejected(struct fixture *f, const char *body, const char *why)
{
    publish(f, "one", body, NULL);
    if (!WAIT_FOR(worker_logged(f->worker, why, NULL) > 0, PATIENCE_MS))
        fail_msg("no word of it:\n%s", proc_stderr(f->worker->proc));
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
}

/* Without a spool in the same file it cannot publish: it is told so, and nothing is sent. */
static void publishing_needs_the_spool(void **state)
{
    struct fixture *f = *state;

    f->worker = bank(f, "spool: {path: other.db}", "ack", "idempotency");
    worker_consume(f->worker, 1);
    assert_rejected(f, "", "set spool.path to that of store.path");
}

/* A message without a key has its transaction, and is booked each time it comes. */
static void without_a_key_each_time(void **state)
{
    struct fixture *f = *state;

    f->worker = bank(f, WITH_SPOOL, "ack", "idempotency: {key: header k}");
    worker_consume(f->worker, 1);
    publish(f, "one", "", NULL);
    publish(f, "one", "", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), 2);
    assert_int_equal(stored_number(f->worker, DONE), 0);
    worker_expect_logged(f->worker, "without a key is handled unprotected", NULL, 1);
}

/* One message is guilty of @body, and ends as a dead letter after max_attempts; all others are
 * booked. */
static void expect_one_guilty(struct fixture *f, const char *body)
{
    char *dead = text("%s.dlq", f->queue);
    struct peer_message letter;

    f->worker = bank(f, WITH_SPOOL, "ack", "idempotency");
    peer_publish_many(f->peer, f->queue, "m", AROUND / 2);
    publish(f, "guilty", body, NULL);
    peer_publish_many(f->peer, f->queue, "n", AROUND / 2);
    worker_consume(f->worker, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), AROUND);
    assert_int_equal(
        stored_number(f->worker, "SELECT count(DISTINCT id) FROM payment WHERE id LIKE '_-%'"),
        AROUND);
    assert_int_equal(stored_number(f->worker, DONE), AROUND);
    assert_true(WAIT_FOR(peer_get(f->peer, dead, &letter), PATIENCE_MS));
    assert_string_equal(letter.body, body);
    peer_message_done(&letter);
    assert_int_equal(worker_stop(f->worker), 0);
    worker_expect_logged(f->worker, "msg=paying", "message_id=guilty", 2);
    assert_int_equal(worker_logged(f->worker, "store failed", NULL), 0);
    free(dead);
}

/* A handler whose statement had SQLite roll everything back answers ACK: an attempt that failed,
 * with an error that says so. Those that shared its transaction are handled again, once at most. */
static void a_rolled_back_ack_is_a_failed_attempt(void **state)
{
    struct fixture *f = *state;

    expect_one_guilty(f, "rollback");
    worker_expect_logged(f->worker, "message_id=guilty", "a statement of the handler's", 2);
    assert_true(worker_logged(f->worker, "msg=paying", NULL) <= 2 * AROUND + 2);
}

/* So it is where a table takes no more rows, which is no full disk. */
static void a_full_table_is_a_failed_attempt(void **state)
{
    struct fixture *f = *state;

    expect_one_guilty(f, "numbers");
    assert_true(worker_logged(f->worker, "msg=paying", NULL) <= 2 * AROUND + 2);
}

/* Rows that refer to none would have the commit of all refused: this is known before, and all
 * others are handled once. */
static void an_orphan_is_a_failed_attempt(void **state)
{
    struct fixture *f = *state;

    expect_one_guilty(f, "orphan");
    worker_expect_logged(f->worker, "message_id=guilty", "FOREIGN KEY", 2);
    worker_expect_logged(f->worker, "msg=paying", NULL, AROUND + 2);
}

/* ---- deaths ---- */

/* So many different receipts lie in the queue, whose ids are all of the kind that was asked for. */
static int count_receipts(struct fixture *f, int count)
{
    bool *seen = calloc((size_t)count, sizeof *seen);
    struct peer_message message;
    int different = 0;
    int number;

    while (peer_get(f->peer, f->other, &message)) {
        if (sscanf(message.body, "receipt-m-%d", &number) != 1 || number < 0 || number >= count)
            fail_msg("who wrote this? %s", message.body);
        different += !seen[number];
        seen[number] = true;
        peer_message_done(&message);
    }
    free(seen);
    return different;
}

static bool all_is_done(void *user)
{
    struct fixture *f = user;

    return broker_messages(f->broker, f->queue) == 0 && stored_number(f->worker, SPOOLED) == 0;
}

/* The worker dies after each commit in turn, be it of payments, of keys or of the spool: each
 * payment is booked once, and no receipt is lost. */
static void killed_after_each_commit(void **state)
{
    enum { COUNT = 600 };
    struct fixture *f = *state;
    int deaths;

    f->worker = bank(f, WITH_SPOOL, "ack", "idempotency");
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    peer_publish_many(f->peer, f->queue, "m", COUNT);
    deaths = worker_live_and_die(f->worker, 5, all_is_done, f);
    print_message("killed %d times after a commit\n", deaths);
    assert_true(deaths > 5);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), COUNT);
    assert_int_equal(stored_number(f->worker, "SELECT count(DISTINCT id) FROM payment"), COUNT);
    assert_int_equal(stored_number(f->worker, DONE), COUNT);
    assert_int_equal(stored_number(f->worker, SPOOLED), 0);
    assert_int_equal(count_receipts(f, COUNT), COUNT);
}

/* A handler crashes in its transaction, which nobody else can enter or end then: the process does
 * not wait for that, but starts anew, everything that was not committed is handled again, and the
 * message that did it is put aside. */
static void lose_a_thread_in_it(struct fixture *f, const char *body, const char *middleware)
{
    f->worker = bank(f, WITH_SPOOL "\ndrain: {timeout: 10m}", "ack", middleware);
    peer_publish_many(f->peer, f->queue, "m", AROUND / 2);
    publish(f, "guilty", body, NULL);
    peer_publish_many(f->peer, f->queue, "n", AROUND / 2);
    worker_consume(f->worker, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(stored_number(f->worker, PAYMENTS), AROUND);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM payment WHERE id = 'guilty'"),
                     0);
    assert_int_equal(stored_number(f->worker, DONE), AROUND);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "message is quarantined", "guilty") > 0, PATIENCE_MS));
    assert_int_equal(worker_logged(f->worker, "store failed", NULL), 0);
    assert_int_equal(worker_logged(f->worker, "msg=spool", NULL), 0);
}

static void a_crash_in_the_transaction(void **state)
{
    lose_a_thread_in_it(*state, "crash", "idempotency");
}

/* So it is with one that never returns. */
static void a_hang_in_the_transaction(void **state)
{
    lose_a_thread_in_it(*state, "hang", "idempotency, deadline: {limit: 200ms, hard_limit: 500ms}");
}

#define TEST(name) FIXTURE_TEST(name, "classic")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(booked_and_published_once),
        TEST(no_effect_without_ack),
        TEST(a_reply_is_part_of_it),
        TEST(publishing_needs_the_spool),
        TEST(without_a_key_each_time),
        TEST(a_rolled_back_ack_is_a_failed_attempt),
        TEST(a_full_table_is_a_failed_attempt),
        TEST(an_orphan_is_a_failed_attempt),
        TEST(killed_after_each_commit),
        TEST(a_crash_in_the_transaction),
        TEST(a_hang_in_the_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
