/* test_settlement.c - verdicts, and waiting for receipts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consume/settlement.h"

static struct delivery *told; /* what `done` was called with */

static void done(void *user, struct delivery *delivery)
{
    assert_ptr_equal(user, &told);
    assert_null(told);
    told = delivery;
}

static const struct warren_receipt confirmed = {.result = WARREN_CONFIRMED};
static const struct warren_receipt returned = {.result = WARREN_RETURNED};

static int setup(void **state)
{
    struct warren_bytes none = {"", 0};

    told = NULL;
    *state = delivery_new(none, none, none, 0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    delivery_free(*state);
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
    struct delivery *delivery = *state;
    struct settlement *s = settlement_new(delivery, done, &told);

    settlement_hold(s);
    settlement_hold(s);
    settlement_receipt(&confirmed, s);
    delivery->outcome = WARREN_ACK;
    assert_false(settlement_handled(s));
    assert_null(told);
    settlement_receipt(&confirmed, s);
    assert_ptr_equal(told, delivery);
    assert_int_equal(delivery->outcome, WARREN_ACK);
}

/* With all receipts there, the return of the handler settles, and nobody else is told. */
static void the_handler_settles_if_it_is_last(void **state)
{
    struct delivery *delivery = *state;
    struct settlement *s = settlement_new(delivery, done, &told);

    settlement_hold(s);
    settlement_receipt(&confirmed, s);
    delivery->outcome = WARREN_ACK;
    assert_true(settlement_handled(s));
    assert_null(told);
    assert_int_equal(delivery->outcome, WARREN_ACK);
}

/* One message that was not confirmed: the input is tried again. */
static void a_failed_publish_means_retry(void **state)
{
    struct delivery *delivery = *state;
    struct settlement *s = settlement_new(delivery, done, &told);

    settlement_hold(s);
    settlement_hold(s);
    settlement_receipt(&returned, s);
    delivery->outcome = WARREN_ACK;
    assert_false(settlement_handled(s));
    settlement_receipt(&confirmed, s);
    assert_ptr_equal(told, delivery);
    assert_int_equal(delivery->outcome, WARREN_RETRY);
}

/* Then the attempt has failed, whatever the handler said; one that failed anyway has done so once,
 * and a forgiven one stays none. */
static void a_failed_publish_counts_as_an_attempt(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_ACK, WARREN_DISCARD, WARREN_REQUEUE};
    struct delivery *delivery = *state;
    struct settlement *s;

    for (unsigned i = 0; i < 3; i++) {
        s = settlement_new(delivery, done, &told);
        settlement_hold(s);
        settlement_receipt(&returned, s);
        delivery->outcome = (uint8_t)outcomes[i];
        delivery->forgiven = true; /* of the attempt before */
        assert_true(settlement_handled(s));
        assert_int_equal(delivery->outcome, WARREN_RETRY);
        assert_int_equal(delivery->failed, i + 1);
        assert_false(delivery->forgiven);
        assert_true(delivery->first_failure_s > 0);
    }
    s = settlement_new(delivery, done, &told);
    settlement_hold(s);
    settlement_receipt(&returned, s);
    delivery->outcome = WARREN_RETRY;
    delivery->forgiven = true;
    assert_true(settlement_handled(s));
    assert_int_equal(delivery->failed, 3);
    assert_true(delivery->forgiven);
}

/* A message that the publisher refused is not waited for. */
static void a_refused_publish_is_not_awaited(void **state)
{
    struct delivery *delivery = *state;
    struct settlement *s = settlement_new(delivery, done, &told);

    settlement_hold(s);
    settlement_unhold(s);
    delivery->outcome = WARREN_REJECT;
    assert_true(settlement_handled(s));
    assert_int_equal(delivery->outcome, WARREN_REJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_become_verdicts),
        cmocka_unit_test_setup_teardown(the_last_receipt_settles, setup, teardown),
        cmocka_unit_test_setup_teardown(the_handler_settles_if_it_is_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_publish_means_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_publish_counts_as_an_attempt, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_publish_is_not_awaited, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
