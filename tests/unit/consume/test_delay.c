/* test_delay.c - the heap of those that wait for their time. */
#include "base/random.h"
#include "consume/attempt/delay.h"
#include "support/attempt.h"
#include "support/test.h"

#define CAPACITY 500

static int setup(void **state)
{
    static struct delay delay;

    *state = &delay;
    return delay_init(&delay, CAPACITY) == WARREN_OK ? 0 : -1;
}

static void free_all(struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(batch)))
        attempt_free(attempt);
}

static int teardown(void **state)
{
    struct batch rest = {NULL, NULL, 0};

    delay_take(*state, INT64_MAX, &rest);
    free_all(&rest);
    delay_done(*state);
    return 0;
}

static struct attempt *due(uint64_t tag, int64_t at_ms)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = tag;
    attempt->retry_at_ms = at_ms;
    return attempt;
}

/* Nothing comes before its time, and what is due comes earliest first. */
static void each_comes_at_its_time(void **state)
{
    struct delay *delay = *state;
    struct batch batch = {NULL, NULL, 0};

    assert_true(delay_next_ms(delay) == INT64_MAX);
    assert_true(delay_put(delay, due(1, 300)));
    assert_true(delay_put(delay, due(2, 100)));
    assert_true(delay_put(delay, due(3, 200)));
    assert_int_equal(delay_next_ms(delay), 100);
    delay_take(delay, 99, &batch);
    assert_int_equal(batch.count, 0);
    delay_take(delay, 200, &batch);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.first->delivery.tag, 2);
    assert_int_equal(batch.last->delivery.tag, 3);
    assert_int_equal(delay_next_ms(delay), 300);
    free_all(&batch);
}

/* At the same time: in the order of the broker. */
static void equals_come_in_the_order_of_tags(void **state)
{
    struct delay *delay = *state;
    struct batch batch = {NULL, NULL, 0};
    struct attempt *attempt;

    for (uint64_t tag = 20; tag > 0; tag--)
        assert_true(delay_put(delay, due(tag, 7)));
    delay_take(delay, 7, &batch);
    assert_int_equal(batch.count, 20);
    for (uint64_t tag = 1; (attempt = batch_pop(&batch)); tag++) {
        assert_int_equal(attempt->delivery.tag, tag);
        attempt_free(attempt);
    }
}

/* There is a bound; what does not fit stays the caller's. */
static void a_full_heap_takes_no_more(void **state)
{
    struct delay *delay = *state;
    struct attempt *one_more = due(0, 0);

    for (uint32_t i = 0; i < CAPACITY; i++)
        assert_true(delay_put(delay, due(i, 1000 + i)));
    assert_false(delay_put(delay, one_more));
    assert_int_equal(delay->count, CAPACITY);
    assert_int_equal(delay_next_ms(delay), 1000);
    attempt_free(one_more);
}

/* Any times, put and taken in turns: never one early, never one out of order, none lost. */
static void random_times_come_in_order(void **state)
{
    struct delay *delay = *state;
    struct batch batch = {NULL, NULL, 0};
    struct random random;
    uint32_t put = 0;
    uint32_t taken = 0;

    random_init(&random, 42);
    for (int64_t now_ms = 0; now_ms < 3000; now_ms++) {
        int64_t last_ms = 0;
        struct attempt *attempt;

        if (now_ms < 2000 && delay->count < CAPACITY) {
            int64_t at_ms = now_ms + (int64_t)random_upto(&random, 900);

            assert_true(delay_put(delay, due(put++, at_ms)));
        }
        delay_take(delay, now_ms, &batch);
        while ((attempt = batch_pop(&batch))) {
            assert_int_equal(attempt->retry_at_ms, now_ms); /* asked each ms: neither late */
            assert_true(attempt->retry_at_ms >= last_ms);
            last_ms = attempt->retry_at_ms;
            taken++;
            attempt_free(attempt);
        }
    }
    assert_int_equal(taken, put);
    assert_int_equal(delay->count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_comes_at_its_time),
        T(equals_come_in_the_order_of_tags),
        T(a_full_heap_takes_no_more),
        T(random_times_come_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
