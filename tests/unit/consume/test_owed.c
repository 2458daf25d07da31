/* What is kept for a copy that is tried again: its words outlive the job, and the tries come less
 * and less often, within bounds.
 */
#include "consume/relay/relay.h"
#include "support/attempt.h"
#include "support/test.h"

static int setup(void **state)
{
    const struct warren_bytes none = {"", 0};

    *state = attempt_new(none, none, none, 0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    attempt_free(*state);
    return 0;
}

static void words_are_copied(void **state)
{
    struct attempt *attempt = *state;
    char error[] = "no such account";
    char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct relay_facts facts = {.failed = 3, .reason = "attempts", .error = error, .trace = trace};

    owed_keep(attempt, &facts, 7000);
    memset(error, 'x', sizeof error - 1);
    memset(trace, 'x', sizeof trace - 1);
    assert_string_equal(attempt->owed->facts.error, "no such account");
    assert_string_equal(attempt->owed->facts.reason, "attempts");
    assert_memory_equal(attempt->owed->facts.trace, "00-4bf92f", 9);
    assert_null(attempt->owed->facts.signal);
    assert_null(attempt->owed->facts.backtrace);
    assert_int_equal(attempt->owed->facts.failed, 3);
    assert_int_equal(attempt->owed->due_ms, 7000);
    assert_int_equal(attempt->owed->since_ms, -1);
}

/* And another outcome of the same delivery does not begin anew: its copies fail as the others did.
 */
static void tries_come_less_and_less_often(void **state)
{
    struct attempt *attempt = *state;
    const struct relay_facts facts = {.failed = 1};
    int64_t longest_ms = 0;
    struct random random;

    random_init(&random, 1);
    owed_keep(attempt, &facts, INT64_MAX);
    assert_in_range(owed_again_ms(attempt->owed, &random), OWED_AGAIN_MIN_MS,
                    2 * OWED_AGAIN_MIN_MS);
    for (int i = 0; i < 100; i++) {
        int64_t again_ms = owed_again_ms(attempt->owed, &random);

        assert_in_range(again_ms, OWED_AGAIN_MIN_MS, OWED_AGAIN_MAX_MS);
        if (again_ms > longest_ms)
            longest_ms = again_ms;
    }
    assert_true(longest_ms > OWED_AGAIN_MAX_MS / 2);
    owed_keep(attempt, &facts, INT64_MAX);
    assert_int_equal(attempt->owed->failed, 101);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(words_are_copied),
        T(tries_come_less_and_less_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
