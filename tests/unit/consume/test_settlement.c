/* test_settlement.c - verdicts, and waiting for receipts. */
#include "consume/relay/settlement.h"
#include "support/attempt.h"
#include "support/test.h"

static struct attempt *told; /* what `done` was called with */

static void done(void *user, struct attempt *attempt)
{
    assert_ptr_equal(user, &told);
    assert_null(told);
    told = attempt;
}

static const struct warren_receipt confirmed = {.result = WARREN_CONFIRMED};
static const struct warren_receipt returned = {.result = WARREN_RETURNED};

static int setup(void **state)
{
    struct warren_bytes none = {"", 0};

    told = NULL;
    *state = attempt_new(none, none, none, 0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    attempt_free(*state);
    return 0;
}

/* Each outcome has the verdict that the contract promises. */
static void outcomes_become_verdicts(void **state)
{
    (void)state;
    assert_int_equal(settlement_verdict(WARREN_ACK), VERDICT_ACK);
    assert_int_equal(settlement_verdict(WARREN_DISCARD), VERDICT_ACK);
    assert_int_equal(settlement_verdict(WARREN_REJECT), VERDICT_REJECT);
    assert_int_equal(settlement_verdict(WARREN_RETRY), VERDICT_RETRY);
    assert_int_equal(settlement_verdict(WARREN_REQUEUE), VERDICT_HANDBACK);
}

/* With a receipt missing, the return of the handler settles nothing; the last receipt does. */
static void the_last_receipt_settles(void **state)
{
    struct attempt *attempt = *state;
    struct settlement *s = settlement_new(attempt, done, &told);

    settlement_hold(s);
    settlement_hold(s);
    settlement_receipt(&confirmed, s);
    attempt->outcome = WARREN_ACK;
    assert_false(settlement_handled(s));
    assert_null(told);
    settlement_receipt(&confirmed, s);
    assert_ptr_equal(told, attempt);
    assert_int_equal(attempt->outcome, WARREN_ACK);
}

/* With all receipts there, the return of the handler settles, and nobody else is told. */
static void the_handler_settles_if_it_is_last(void **state)
{
    struct attempt *attempt = *state;
    struct settlement *s = settlement_new(attempt, done, &told);

    settlement_hold(s);
    settlement_receipt(&confirmed, s);
    attempt->outcome = WARREN_ACK;
    assert_true(settlement_handled(s));
    assert_null(told);
    assert_int_equal(attempt->outcome, WARREN_ACK);
}

/* One message that was not confirmed: the input is tried again. */
static void a_failed_publish_means_retry(void **state)
{
    struct attempt *attempt = *state;
    struct settlement *s = settlement_new(attempt, done, &told);

    settlement_hold(s);
    settlement_hold(s);
    settlement_receipt(&returned, s);
    attempt->outcome = WARREN_ACK;
    assert_false(settlement_handled(s));
    settlement_receipt(&confirmed, s);
    assert_ptr_equal(told, attempt);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
}

/* What was returned is the message's own fault: the attempt has failed, whatever the handler said,
 * and others decide what follows. One that failed anyway has done so once. */
static void a_returned_message_makes_it_late(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_ACK, WARREN_DISCARD, WARREN_REQUEUE,
                                                   WARREN_RETRY};
    struct attempt *attempt = *state;

    for (unsigned i = 0; i < 4; i++) {
        struct settlement *s = settlement_new(attempt, done, &told);

        settlement_hold(s);
        settlement_receipt(&returned, s);
        attempt->outcome = (uint8_t)outcomes[i];
        attempt->publish_returned = false;
        attempt->forgiven = false;
        assert_true(settlement_handled(s));
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_int_equal(attempt->publish_returned, outcomes[i] != WARREN_RETRY);
        assert_int_equal(attempt->failed, 0);
    }
}

/* What was not confirmed for another reason is forgiven. */
static void an_unconfirmed_message_is_forgiven(void **state)
{
    static const enum warren_result results[] = {WARREN_NACKED, WARREN_TIMEOUT, WARREN_EXPIRED};
    static const char *const words[] = {"nacked", "timeout", "expired"};
    struct attempt *attempt = *state;
    char text[64];

    for (unsigned i = 0; i < 3; i++) {
        const struct warren_receipt receipt = {.result = results[i], .routing_key = "q"};
        struct settlement *s = settlement_new(attempt, done, &told);

        settlement_hold(s);
        settlement_receipt(&receipt, s);
        attempt->outcome = WARREN_ACK;
        attempt->forgiven = false;
        assert_true(settlement_handled(s));
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_true(attempt->forgiven);
        assert_false(attempt->publish_returned);
        assert_int_equal(attempt->failed, 0);
        snprintf(text, sizeof text, "what it published to queue 'q' was not confirmed: %s",
                 words[i]);
        assert_string_equal(attempt->unpublished, text);
    }
}

/* An attempt that publishes one message, and is not let publish another: so it answers RETRY, and
 * is forgiven. */
static void attempt_in_part(struct attempt *attempt, const struct warren_receipt *of_the_first)
{
    struct settlement *s = settlement_new(attempt, done, &told);

    settlement_hold(s);
    settlement_receipt(of_the_first, s);
    settlement_not_taken(s, "the window is full");
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    attempt->publish_returned = false;
    assert_true(settlement_handled(s));
}

/* What was confirmed is published again each time: so only a few such attempts are forgiven, be it
 * that the rest was not confirmed, or not taken. */
static void forgiveness_in_part_has_a_bound(void **state)
{
    const struct warren_receipt nacked = {.result = WARREN_NACKED, .routing_key = "q"};
    struct attempt *attempt = *state;

    for (int i = 0; i < SETTLEMENT_IN_PART; i++) {
        struct settlement *s = settlement_new(attempt, done, &told);

        settlement_hold(s);
        settlement_hold(s);
        settlement_receipt(&nacked, s);
        settlement_receipt(&confirmed, s);
        attempt->outcome = WARREN_ACK;
        attempt->publish_returned = false;
        assert_true(settlement_handled(s));
        assert_true(attempt->forgiven);
        assert_false(attempt->publish_returned);
    }
    for (int i = 0; i < 300; i++) {
        attempt_in_part(attempt, &confirmed);
        assert_true(attempt->publish_returned);
    }
    assert_int_equal(attempt->outcome, WARREN_RETRY);
}

/* Nothing was confirmed, so nothing is there twice: it is forgiven for as long as that lasts. */
static void forgiveness_without_a_part_has_none(void **state)
{
    const struct warren_receipt expired = {.result = WARREN_EXPIRED, .routing_key = "q"};
    struct attempt *attempt = *state;

    for (int i = 0; i < 300; i++) {
        attempt_in_part(attempt, &expired);
        assert_true(attempt->forgiven);
        assert_false(attempt->publish_returned);
    }
    assert_string_equal(attempt->unpublished,
                        "what it published to queue 'q' was not confirmed: expired");
}

/* Why the handler gave up is told when its other messages are fine. */
static void what_was_not_taken_is_told(void **state)
{
    struct attempt *attempt = *state;

    attempt_in_part(attempt, &confirmed);
    assert_int_equal(attempt->publish_end, PUBLISH_UNCONFIRMED);
    assert_string_equal(attempt->unpublished, "the window is full");
}

/* The first one is told of; but what is refused for good outweighs what is not. */
static void the_worst_is_told(void **state)
{
    const struct warren_receipt nacked = {.result = WARREN_NACKED, .exchange = "n"};
    struct warren_receipt refused = {.result = WARREN_RETURNED,
                                     .exchange = "x",
                                     .routing_key = "k",
                                     .reply_code = 312,
                                     .reply_text = "NO_ROUTE"};
    struct attempt *attempt = *state;
    struct settlement *s = settlement_new(attempt, done, &told);

    for (int i = 0; i < 4; i++)
        settlement_hold(s);
    attempt->outcome = WARREN_ACK;
    assert_false(settlement_handled(s));
    settlement_receipt(&nacked, s);
    assert_int_equal(attempt->publish_end, PUBLISH_UNCONFIRMED);
    settlement_receipt(&refused, s);
    refused.exchange = "y";
    settlement_receipt(&refused, s);
    settlement_receipt(&nacked, s);
    assert_ptr_equal(told, attempt);
    assert_true(attempt->publish_returned);
    assert_string_equal(attempt->unpublished, "what it published to exchange 'x' with routing key "
                                              "'k' was returned: 312 NO_ROUTE");
}

/* Each forgiven attempt is waited for longer, within a bound. */
static void forgiven_attempts_are_spaced_out(void **state)
{
    static const int64_t delays_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct attempt *attempt = *state;

    for (unsigned i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++)
        assert_int_equal(settlement_again_ms(attempt), delays_ms[i]);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(settlement_again_ms(attempt), 30000);
}

/* A message that the publisher refused is not waited for. */
static void a_refused_publish_is_not_awaited(void **state)
{
    struct attempt *attempt = *state;
    struct settlement *s = settlement_new(attempt, done, &told);

    settlement_hold(s);
    settlement_unhold(s);
    attempt->outcome = WARREN_REJECT;
    assert_true(settlement_handled(s));
    assert_int_equal(attempt->outcome, WARREN_REJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_become_verdicts),
        cmocka_unit_test_setup_teardown(the_last_receipt_settles, setup, teardown),
        cmocka_unit_test_setup_teardown(the_handler_settles_if_it_is_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_publish_means_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_returned_message_makes_it_late, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unconfirmed_message_is_forgiven, setup, teardown),
        cmocka_unit_test_setup_teardown(forgiveness_in_part_has_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(forgiveness_without_a_part_has_none, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_taken_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_worst_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(forgiven_attempts_are_spaced_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_publish_is_not_awaited, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
