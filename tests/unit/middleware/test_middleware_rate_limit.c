/* test_middleware_rate_limit.c - how many messages are admitted, alone and with others, and what
 * a reload changes; options and time are the test's.
 */
#include "middleware/builtin.h"
#include "policy_rig.h"
#include "support/metric_page.h"

#define OPEN(queue, ...) RIG_OPEN(&middleware_rate_limit, queue, __VA_ARGS__)

static const struct warren_middleware *const limit = &middleware_rate_limit;

/* Ask for @want and take what may go. */
static uint32_t admit(void *state, uint32_t want, int64_t now_ms, int64_t *retry_ms)
{
    uint32_t may;

    *retry_ms = 0;
    may = limit->may(state, want, now_ms, retry_ms);
    assert_true(may <= want);
    assert_true(may == want || *retry_ms >= 1);
    if (may > 0)
        limit->took(state, may, now_ms);
    return may;
}

static void reload(void *state, const char *const *given)
{
    struct warren_options options = {limit->options, given};

    limit->reload(state, &options);
}

/* A worker thread never meets it. */
static void it_is_not_in_the_way_of_a_job(void **state)
{
    (void)state;
    assert_null(limit->call);
}

/* The burst goes at once, then the rate; and it says when to come again. */
static void burst_and_rate(void **state)
{
    void *bills = OPEN("bills", "rate", "100", "burst", "5");
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 3, 1000, &retry_ms), 3);
    assert_int_equal(admit(bills, 9, 1000, &retry_ms), 2);
    assert_int_equal(retry_ms, 10);
    assert_int_equal(admit(bills, 9, 1009, &retry_ms), 0);
    assert_int_equal(retry_ms, 1);
    assert_int_equal(admit(bills, 9, 1010, &retry_ms), 1);
    assert_int_equal(admit(bills, 9, 1050, &retry_ms), 4);
    limit->close(bills);
}

/* Without a burst of its own a limit lets as many go at once as in one period. */
static void the_burst_is_the_rate_by_default(void **state)
{
    void *bills = OPEN("bills", "rate", "30", "per", "1m");
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 100, 0, &retry_ms), 30);
    assert_int_equal(retry_ms, 2000);
    limit->close(bills);
}

/* What may go but does not, costs nothing. */
static void only_what_went_is_counted(void **state)
{
    void *bills = OPEN("bills", "rate", "1", "burst", "5");
    int64_t retry_ms;

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(limit->may(bills, 9, 0, &retry_ms), 5);
    limit->took(bills, 2, 0);
    assert_int_equal(limit->may(bills, 9, 0, &retry_ms), 3);
    limit->close(bills);
}

/* A leaky bucket lets one go, and the next when it is due. */
static void leaky_goes_one_by_one(void **state)
{
    void *bills = OPEN("bills", "rate", "10", "kind", "leaky");
    int64_t retry_ms;
    int64_t now_ms = 50000;

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(admit(bills, 9, now_ms, &retry_ms), 1);
        assert_in_range(retry_ms, 98, 100);
        assert_int_equal(admit(bills, 9, now_ms + retry_ms - 1, &(int64_t){0}), 0);
        now_ms += retry_ms;
    }
    assert_in_range(now_ms, 50000 + 9998, 50000 + 10000);
    limit->close(bills);
}

/* Two subscriptions with one name have one limit between them, and each its turn: also when the
 * same one always asks first. */
static void one_name_is_one_limit_with_turns(void **state)
{
    void *users[2] = {OPEN("bills", "rate", "100", "burst", "1", "name", "bank"),
                      OPEN("cards", "rate", "100", "burst", "1", "name", "bank")};
    int64_t due_ms[2] = {0, 0};
    unsigned went[2] = {0, 0};
    int64_t retry_ms;

    (void)state;
    for (int64_t now_ms = 0; now_ms < 10000; now_ms++) {
        for (int i = 0; i < 2; i++) {
            while (due_ms[i] <= now_ms) {
                went[i] += admit(users[i], 50, now_ms, &retry_ms);
                due_ms[i] = now_ms + retry_ms;
            }
        }
    }
    assert_in_range(went[0] + went[1], 990, 1001);
    assert_in_range(went[0], 450, 550);
    limit->close(users[0]);
    limit->close(users[1]);
}

/* A user that was refused and wants nothing any more blocks the others for a moment at most. */
static void who_stays_away_loses_its_turn(void **state)
{
    void *bills = OPEN("bills", "rate", "1", "burst", "1", "name", "bank");
    void *cards = OPEN("cards", "rate", "1", "burst", "1", "name", "bank");
    int64_t now_ms = 0;
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 1, 0, &retry_ms), 1);
    assert_int_equal(admit(cards, 9, 0, &retry_ms), 0);
    while (admit(bills, 9, now_ms, &retry_ms) == 0)
        now_ms += retry_ms;
    assert_in_range(now_ms, 1000, 1250);
    limit->close(cards);
    limit->close(bills);
}

/* Other names, and no name, are other limits. */
static void other_names_are_other_limits(void **state)
{
    void *a = OPEN("bills", "rate", "1", "name", "bank");
    void *b = OPEN("cards", "rate", "1", "name", "shop");
    void *c = OPEN("bills", "rate", "1");
    void *d = OPEN("cards", "rate", "1");
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(a, 5, 0, &retry_ms), 1);
    assert_int_equal(admit(b, 5, 0, &retry_ms), 1);
    assert_int_equal(admit(c, 5, 0, &retry_ms), 1);
    assert_int_equal(admit(d, 5, 0, &retry_ms), 1);
    limit->close(a);
    limit->close(b);
    limit->close(c);
    limit->close(d);
}

/* One name with two meanings is refused, by naming both queues; and after the last user has gone
 * the name is free. */
static void one_name_has_one_meaning(void **state)
{
    void *bills = OPEN("orders", "rate", "10", "name", "bank");

    (void)state;
    RIG_REFUSED(limit, "queue bills gives it other options than queue orders", "rate", "11", "name",
                "bank");
    RIG_REFUSED(limit, "'bank'", "rate", "10", "kind", "leaky", "name", "bank");
    limit->close(bills);
    bills = OPEN("bills", "rate", "11", "name", "bank");
    limit->close(bills);
}

/* A reload changes the rate while running, and keeps what has gone. */
static void reload_changes_the_rate(void **state)
{
    void *bills = OPEN("bills", "rate", "10", "burst", "1");
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 5, 0, &retry_ms), 1);
    reload(bills, (const char *const[]){"rate", "1000", "burst", "20", NULL});
    assert_int_equal(admit(bills, 5, 0, &retry_ms), 0);
    assert_int_equal(retry_ms, 1);
    assert_int_equal(admit(bills, 50, 7, &retry_ms), 7);
    assert_int_equal(admit(bills, 50, 900, &retry_ms), 20);
    reload(bills, (const char *const[]){"rate", "10", "burst", "1", NULL});
    assert_int_equal(admit(bills, 50, 900, &retry_ms), 0);
    assert_int_equal(retry_ms, 100);
    limit->close(bills);
}

#define SERIES(name) "warren_rate_limited_" name "_total{queue=\"bills\",handler=\"p.charge\"}"

/* A message that has to wait counts once, however often it is asked for; time counts while one
 * waits, and not beyond the turn of who asks no more. */
static void what_waits_is_seen(void **state)
{
    void *bills = OPEN("bills", "rate", "100", "burst", "5");
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 5, 1000, &retry_ms), 5);
    assert_true(metric_on_page(SERIES("messages")) == 0);
    assert_int_equal(admit(bills, 3, 1000, &retry_ms), 0);
    assert_true(metric_on_page(SERIES("messages")) == 3);
    assert_int_equal(admit(bills, 3, 1010, &retry_ms), 1);
    assert_true(metric_on_page(SERIES("messages")) == 3);
    assert_int_equal(admit(bills, 4, 1020, &retry_ms), 1); /* two new ones behind two */
    assert_true(metric_on_page(SERIES("messages")) == 5);
    assert_int_equal(admit(bills, 3, 1050, &retry_ms), 3);
    assert_true(metric_on_page(SERIES("messages")) == 5);
    assert_true(metric_on_page(SERIES("seconds")) == 0.05);
    assert_int_equal(admit(bills, 1, 1050, &retry_ms), 0);
    assert_int_equal(admit(bills, 1, 100000, &retry_ms), 1);
    assert_true(metric_on_page(SERIES("seconds")) == 0.05 + 0.11); /* its turn: 10 ms, and 100 */
    limit->close(bills);
}

/* Even spacing and a burst exclude each other. */
static void leaky_has_no_burst(void **state)
{
    (void)state;
    RIG_REFUSED(limit, "has no burst", "rate", "10", "kind", "leaky", "burst", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_not_in_the_way_of_a_job),
        cmocka_unit_test(burst_and_rate),
        cmocka_unit_test(the_burst_is_the_rate_by_default),
        cmocka_unit_test(only_what_went_is_counted),
        cmocka_unit_test(leaky_goes_one_by_one),
        cmocka_unit_test(one_name_is_one_limit_with_turns),
        cmocka_unit_test(who_stays_away_loses_its_turn),
        cmocka_unit_test(other_names_are_other_limits),
        cmocka_unit_test(one_name_has_one_meaning),
        cmocka_unit_test(reload_changes_the_rate),
        cmocka_unit_test(what_waits_is_seen),
        cmocka_unit_test(leaky_has_no_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
