/* test_testing_several.c - <warren/testing.h> with several messages in flight at once: duplicates,
 * limits, order. The same beside a worker: integration/test_testing_parity.c.
 */
#include <warren/testing.h>

#include "support/test.h"

static struct warren_test *test;

/* Answers the outcome that the body names. */
static enum warren_outcome obey(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);

    (void)state;
    for (int outcome = WARREN_ACK; outcome <= WARREN_REQUEUE; outcome++) {
        const char *name = warren_outcome_name((enum warren_outcome)outcome);

        if (strlen(name) == body.len && memcmp(name, body.data, body.len) == 0)
            return (enum warren_outcome)outcome;
    }
    return WARREN_ACK;
}

static const struct warren_handler handler = {.name = "obey", .handle = obey};

static void open_chain(const char *chain)
{
    struct warren_test_options options = {.size = sizeof options, .bare = &handler, .chain = chain};
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void deliver(const char *id, const char *body, bool also)
{
    const struct warren_test_message message = {
        .message = {.properties.message_id = id, .body = warren_text(body)}};
    struct warren_error error;
    enum warren_status status = also ? warren_test_deliver_also(test, &message, &error)
                                     : warren_test_deliver(test, &message, &error);

    if (status != WARREN_OK)
        fail_msg("%s", error.text);
}

static const struct warren_test_attempt *expect(size_t message, uint32_t number,
                                                enum warren_outcome outcome, size_t left)
{
    const struct warren_test_attempt *attempt = warren_test_run(test);

    assert_int_equal(attempt->message, message);
    assert_int_equal(attempt->attempt, number);
    assert_int_equal(attempt->outcome, outcome);
    assert_int_equal(attempt->left, left);
    return attempt;
}

static int end(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* The second one finds the first at work, waits without blame, and is a duplicate then. */
static void two_of_one_key(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_chain("[retry, idempotency, recover]");
    deliver("order-1", "ack", false);
    deliver("order-1", "ack", true);
    attempt = expect(0, 1, WARREN_ACK, 1);
    assert_false(attempt->duplicate);
    attempt = expect(1, 1, WARREN_RETRY, 1);
    assert_true(attempt->forgiven && attempt->retry_after_ms > 0);
    assert_string_equal(attempt->error, "a duplicate of it is being handled");
    attempt = expect(1, 1, WARREN_ACK, 0);
    assert_true(attempt->duplicate);
}

/* The first one failed, so its key is free: whichever comes first handles it. */
static void a_key_is_free_after_a_failure(void **state)
{
    (void)state;
    open_chain(
        "[retry: {policy: constant, jitter: none, initial_delay: 20s}, idempotency, recover]");
    deliver("order-1", "retry", false);
    deliver("order-1", "ack", true);
    expect(0, 1, WARREN_RETRY, 2);
    expect(1, 1, WARREN_RETRY, 2);
    assert_false(expect(1, 1, WARREN_ACK, 1)->duplicate);
    assert_true(expect(0, 2, WARREN_ACK, 0)->duplicate);
}

/* What failed waits for its time, and the others do not wait for it. */
static void a_retry_lets_others_pass(void **state)
{
    (void)state;
    open_chain("[retry: {policy: constant, jitter: none, initial_delay: 10s, max_attempts: 2}]");
    deliver("a", "retry", false);
    deliver("b", "ack", true);
    deliver("c", "requeue", true);
    deliver("d", "reject", true);
    expect(0, 1, WARREN_RETRY, 4);
    expect(1, 1, WARREN_ACK, 3);
    expect(2, 1, WARREN_REQUEUE, 3);
    expect(3, 1, WARREN_REJECT, 2);
    assert_int_equal(expect(2, 1, WARREN_REQUEUE, 2)->began_ms, 1000000);
    warren_test_advance(test, 10000); /* now both may go */
    expect(2, 1, WARREN_REQUEUE, 2);
    expect(0, 2, WARREN_REJECT, 1);
}

/* All of them together, in their order. */
static void a_rate_holds_for_all(void **state)
{
    int64_t began_ms[6];

    (void)state;
    open_chain("[rate_limit: {rate: 2, per: 10s, burst: 2}]");
    deliver("m", "ack", false);
    for (size_t i = 1; i < 6; i++)
        deliver("m", "ack", true);
    for (size_t i = 0; i < 6; i++)
        began_ms[i] = expect(i, 1, WARREN_ACK, 5 - i)->began_ms;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(began_ms[i], i < 2 ? 1000000 : began_ms[i - 1] + 5000);
}

/* Failures of some messages hold back the others, and a probe lets them go. */
static void a_breaker_counts_all(void **state)
{
    int64_t failed_ms;
    int64_t began_ms;

    (void)state;
    open_chain("[rate_limit: {rate: 1, per: 1s}, breaker: {consecutive: 2, open_time: 1m}]");
    deliver("a", "retry", false);
    deliver("b", "retry", true);
    for (size_t i = 2; i < 5; i++)
        deliver("c", "ack", true);
    expect(0, 1, WARREN_RETRY, 5);
    failed_ms = expect(1, 1, WARREN_RETRY, 5)->ended_ms;
    began_ms = expect(2, 1, WARREN_ACK, 4)->began_ms;
    assert_in_range(began_ms, failed_ms + 60000, failed_ms + 61000);
    expect(3, 1, WARREN_ACK, 3);
    expect(4, 1, WARREN_ACK, 2);
}

/* When none is left, all come again, in their order. */
static void all_come_again(void **state)
{
    (void)state;
    open_chain("[idempotency]");
    deliver("a", "ack", false);
    deliver("b", "reject", true);
    deliver("c", "discard", true);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(expect(0, 1, WARREN_ACK, 2)->duplicate, again);
        assert_false(expect(1, 1, WARREN_REJECT, 1)->duplicate);
        assert_int_equal(expect(2, 1, WARREN_DISCARD, 0)->duplicate, again);
    }
}

/* Those that were there are gone, with what they hold. */
static void another_delivery_forgets_all(void **state)
{
    (void)state;
    open_chain("[rate_limit: {rate: 1}, retry, idempotency]");
    deliver("a", "retry", false);
    deliver("b", "ack", true);
    deliver("b", "ack", true);
    expect(0, 1, WARREN_RETRY, 3);
    deliver("b", "ack", false);
    assert_false(expect(0, 1, WARREN_ACK, 0)->duplicate);
}

static void there_is_a_bound(void **state)
{
    const struct warren_test_message message = {.exchange = NULL};
    struct warren_error error;

    (void)state;
    open_chain("[]");
    for (size_t i = 0; i < WARREN_TEST_MESSAGES_MAX; i++)
        assert_int_equal(warren_test_deliver_also(test, &message, &error), WARREN_OK);
    assert_int_equal(warren_test_deliver_also(test, &message, &error), WARREN_EFULL);
    assert_string_equal(error.text, "there are 1024 messages already");
    for (size_t i = 0; i < WARREN_TEST_MESSAGES_MAX; i++)
        expect(i, 1, WARREN_ACK, WARREN_TEST_MESSAGES_MAX - 1 - i);
}

#define T(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(two_of_one_key),
        T(a_key_is_free_after_a_failure),
        T(a_retry_lets_others_pass),
        T(a_rate_holds_for_all),
        T(a_breaker_counts_all),
        T(all_come_again),
        T(another_delivery_forgets_all),
        T(there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
