/* test_breaker_state.c - when a breaker trips, how long it stays open, and what closes it. */
#include "base/breaker_state.h"
#include "support/test.h"

static const struct breaker_plan plan = {.window_ms = 10000,
                                         .open_ms = 1000,
                                         .open_max_ms = 5000,
                                         .open_factor = 2,
                                         .failure_percent = 50,
                                         .min_calls = 4,
                                         .probes = 1,
                                         .close_percent = 100};

static void call(struct breaker_state *state, enum breaker_result result, int64_t now_ms)
{
    breaker_state_end(state, breaker_state_begin(state, now_ms), result, now_ms);
}

/* "s" success, "f" failure, "-" neutral, one after the other at @now_ms. */
static void calls(struct breaker_state *state, const char *results, int64_t now_ms)
{
    for (; *results; results++)
        call(state,
             *results == 's'   ? BREAKER_SUCCESS
             : *results == 'f' ? BREAKER_FAILURE
                               : BREAKER_NEUTRAL,
             now_ms);
}

/* The share of failures and the least number of calls decide; or failures in a row. */
static void tripping_by_table(void **state)
{
    static const struct {
        uint32_t failure_percent, min_calls, consecutive;
        const char *results;
        enum breaker_phase phase;
    } rows[] = {
        {50, 4, 0, "fff", BREAKER_CLOSED},        {50, 4, 0, "ffff", BREAKER_OPEN},
        {50, 4, 0, "sssff", BREAKER_CLOSED},      {50, 4, 0, "ssff", BREAKER_OPEN},
        {50, 4, 0, "sfff", BREAKER_OPEN},         {50, 4, 0, "fffs", BREAKER_CLOSED},
        {50, 4, 0, "fffsf", BREAKER_OPEN},        {50, 4, 0, "ff--f--", BREAKER_CLOSED},
        {50, 4, 0, "ssss-f-f", BREAKER_CLOSED},   {100, 1, 0, "f", BREAKER_OPEN},
        {100, 3, 0, "sffffffff", BREAKER_CLOSED}, {1, 1, 0, "sssssssf", BREAKER_OPEN},
        {0, 1, 3, "ff", BREAKER_CLOSED},          {0, 1, 3, "fff", BREAKER_OPEN},
        {0, 1, 3, "ffsff", BREAKER_CLOSED},       {0, 1, 3, "ff-f", BREAKER_OPEN},
        {0, 1, 3, "ssssssfff", BREAKER_OPEN},     {50, 100, 3, "sssfff", BREAKER_OPEN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct breaker_plan row = plan;
        struct breaker_state breaker;

        row.failure_percent = rows[i].failure_percent;
        row.min_calls = rows[i].min_calls;
        row.consecutive = rows[i].consecutive;
        breaker_state_init(&breaker, &row, 7);
        calls(&breaker, rows[i].results, 7);
        if (breaker.phase != rows[i].phase)
            fail_msg("'%s' with %u%% of %u, %u in a row: phase %d", rows[i].results,
                     row.failure_percent, row.min_calls, row.consecutive, (int)breaker.phase);
    }
}

/* Failures leave the window after its length, in tenths of it. */
static void old_calls_leave_the_window(void **state)
{
    struct breaker_state breaker;

    (void)state;
    breaker_state_init(&breaker, &plan, 100000);
    calls(&breaker, "fff", 100000);
    calls(&breaker, "-s", 109999);
    assert_int_equal(breaker_state_sum(&breaker).failures, 3);
    assert_int_equal(breaker_state_sum(&breaker).calls, 4);
    call(&breaker, BREAKER_SUCCESS, 110000);
    assert_int_equal(breaker_state_sum(&breaker).failures, 0);
    assert_int_equal(breaker_state_sum(&breaker).calls, 2);
    /* Had the three counted still, this would be the fourth of six. */
    call(&breaker, BREAKER_FAILURE, 110001);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
}

/* A step at a time, each leaves when its own time comes. */
static void the_window_slides_step_by_step(void **state)
{
    struct breaker_plan never = plan;
    struct breaker_state breaker;

    (void)state;
    never.min_calls = 1000;
    breaker_state_init(&breaker, &never, 50000);
    for (int i = 0; i < 10; i++)
        call(&breaker, BREAKER_FAILURE, 50000 + i * 1000);
    assert_int_equal(breaker_state_sum(&breaker).failures, 10);
    for (int i = 0; i < 9; i++) {
        call(&breaker, BREAKER_SUCCESS, 60000 + i * 1000);
        assert_int_equal(breaker_state_sum(&breaker).failures, 9 - i);
        assert_int_equal(breaker_state_sum(&breaker).calls, 10);
    }
    /* A long silence empties it at once. */
    call(&breaker, BREAKER_SUCCESS, 100000000);
    assert_int_equal(breaker_state_sum(&breaker).calls, 1);
}

/* A reading from another thread that is a step older is counted with the newest. */
static void a_late_reading_does_not_slide_back(void **state)
{
    struct breaker_state breaker;

    (void)state;
    breaker_state_init(&breaker, &plan, 50000);
    call(&breaker, BREAKER_SUCCESS, 52000);
    call(&breaker, BREAKER_SUCCESS, 50999);
    assert_int_equal(breaker_state_sum(&breaker).calls, 2);
    assert_int_equal(breaker_state_step_end_ms(&breaker), 53000);
}

/* Successes that were counted apart weigh as others do, and break a row of failures. */
static void successes_counted_apart_weigh_the_same(void **state)
{
    struct breaker_plan row = plan;
    struct breaker_state breaker;

    (void)state;
    row.consecutive = 3;
    row.failure_percent = 40;
    breaker_state_init(&breaker, &row, 0);
    calls(&breaker, "ff", 0);
    breaker_state_add(&breaker, 5);
    call(&breaker, BREAKER_FAILURE, 0); /* 3 of 8, and the first in a row */
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    call(&breaker, BREAKER_FAILURE, 0); /* 4 of 9 */
    assert_int_equal(breaker.phase, BREAKER_OPEN);
}

/* Open for its time, whatever is asked; then half-open. */
static void open_until_its_time(void **state)
{
    struct breaker_state breaker;
    int64_t retry_ms = 0;

    (void)state;
    breaker_state_init(&breaker, &plan, 0);
    assert_int_equal(breaker_state_may(&breaker, 77, 0, &retry_ms), 77);
    assert_int_equal(retry_ms, 0);
    calls(&breaker, "ffff", 100);
    assert_int_equal(breaker_state_may(&breaker, 10, 100, &retry_ms), 0);
    assert_int_equal(retry_ms, 1000);
    assert_int_equal(breaker_state_begin(&breaker, 600), 0);
    assert_int_equal(breaker_state_may(&breaker, 10, 1099, &retry_ms), 0);
    assert_int_equal(retry_ms, 1);
    assert_int_equal(breaker.phase, BREAKER_OPEN);
    assert_int_equal(breaker_state_may(&breaker, 10, 1100, &retry_ms), 1);
    assert_int_equal(breaker.phase, BREAKER_HALF_OPEN);
}

/* A breaker that has just opened, and whose open time is over at the time that is returned. */
static int64_t tripped(struct breaker_state *breaker, const struct breaker_plan *row)
{
    breaker_state_init(breaker, row, 0);
    for (uint32_t i = 0; i < row->min_calls; i++)
        call(breaker, BREAKER_FAILURE, 0);
    assert_int_equal(breaker->phase, BREAKER_OPEN);
    return row->open_ms;
}

/* No more than its probes are admitted, and no more begin. */
static void half_open_admits_its_probes(void **state)
{
    struct breaker_plan row = plan;
    struct breaker_state breaker;
    int64_t retry_ms = 0;
    int64_t now_ms;

    (void)state;
    row.probes = 3;
    now_ms = tripped(&breaker, &row);
    assert_int_equal(breaker_state_may(&breaker, 2, now_ms, &retry_ms), 2);
    breaker_state_took(&breaker, 2);
    assert_int_equal(breaker_state_may(&breaker, 10, now_ms, &retry_ms), 1);
    assert_int_equal(retry_ms, 1000);
    breaker_state_took(&breaker, 1);
    assert_int_equal(breaker_state_may(&breaker, 10, now_ms + 999, &retry_ms), 0);
    assert_int_equal(retry_ms, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(breaker_state_begin(&breaker, now_ms), breaker.epoch);
    assert_int_equal(breaker_state_begin(&breaker, now_ms), 0);
}

/* What half-open probes say, by number of probes and share that must succeed. */
static void probes_by_table(void **state)
{
    static const struct {
        uint32_t probes, close_percent;
        const char *results;
        enum breaker_phase phase;
    } rows[] = {
        {1, 100, "s", BREAKER_CLOSED},           {1, 100, "f", BREAKER_OPEN},
        {1, 100, "-", BREAKER_HALF_OPEN},        {1, 100, "---s", BREAKER_CLOSED},
        {3, 100, "ss", BREAKER_HALF_OPEN},       {3, 100, "sss", BREAKER_CLOSED},
        {3, 100, "ssf", BREAKER_OPEN},           {3, 60, "s", BREAKER_HALF_OPEN},
        {3, 60, "ss", BREAKER_CLOSED},           {3, 60, "f", BREAKER_HALF_OPEN},
        {3, 60, "fss", BREAKER_CLOSED},          {3, 60, "ff", BREAKER_OPEN},
        {10, 1, "fffffffff", BREAKER_HALF_OPEN}, {10, 1, "fffffffffs", BREAKER_CLOSED},
        {10, 1, "ffffffffff", BREAKER_OPEN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct breaker_plan row = plan;
        struct breaker_state breaker;

        row.probes = rows[i].probes;
        row.close_percent = rows[i].close_percent;
        calls(&breaker, rows[i].results, tripped(&breaker, &row));
        if (breaker.phase != rows[i].phase)
            fail_msg("%u probes, %u%%, '%s': phase %d", row.probes, row.close_percent,
                     rows[i].results, (int)breaker.phase);
    }
}

/* Each failed probing doubles the open time up to the longest; closing resets it. */
static void open_time_grows_and_is_reset(void **state)
{
    static const int64_t expected[] = {1000, 2000, 4000, 5000, 5000};
    struct breaker_state breaker;
    int64_t now_ms = 0;

    (void)state;
    breaker_state_init(&breaker, &plan, 0);
    calls(&breaker, "ffff", 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(breaker.until_ms - now_ms, expected[i]);
        now_ms = breaker.until_ms;
        calls(&breaker, "f", now_ms);
        assert_int_equal(breaker.phase, BREAKER_OPEN);
    }
    now_ms = breaker.until_ms;
    calls(&breaker, "s", now_ms);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    calls(&breaker, "ffff", now_ms);
    assert_int_equal(breaker.until_ms - now_ms, 1000);
}

/* Closed again, it has forgotten what tripped it. */
static void closing_forgets_the_window(void **state)
{
    struct breaker_state breaker;

    (void)state;
    calls(&breaker, "s", tripped(&breaker, &plan));
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    calls(&breaker, "fff", 1000);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
}

/* Calls from before the breaker opened say nothing about its probes, nor about the time after. */
static void old_tickets_do_not_count(void **state)
{
    struct breaker_state breaker;
    uint64_t closed;
    uint64_t probe;

    (void)state;
    breaker_state_init(&breaker, &plan, 0);
    closed = breaker_state_begin(&breaker, 0);
    calls(&breaker, "ffff", 0);
    breaker_state_end(&breaker, closed, BREAKER_SUCCESS, 10);
    assert_int_equal(breaker.phase, BREAKER_OPEN);
    probe = breaker_state_begin(&breaker, 1000);
    breaker_state_end(&breaker, closed, BREAKER_SUCCESS, 1001);
    breaker_state_end(&breaker, 0, BREAKER_SUCCESS, 1001);
    breaker_state_end(&breaker, closed, BREAKER_FAILURE, 1001);
    assert_int_equal(breaker.phase, BREAKER_HALF_OPEN);
    breaker_state_end(&breaker, probe, BREAKER_SUCCESS, 1002);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    breaker_state_end(&breaker, probe, BREAKER_FAILURE, 1003);
    breaker_state_end(&breaker, closed, BREAKER_FAILURE, 1003);
    assert_int_equal(breaker_state_sum(&breaker).calls, 0);
}

/* Probes that never answer, such as of a lost connection, do not hold it half-open for ever:
 * after the open time others are let through, and a late answer still counts. */
static void lost_probes_are_replaced(void **state)
{
    struct breaker_state breaker;
    int64_t retry_ms = 0;
    uint64_t late;

    (void)state;
    tripped(&breaker, &plan);
    assert_int_equal(breaker_state_may(&breaker, 5, 1000, &retry_ms), 1);
    breaker_state_took(&breaker, 1);
    late = breaker_state_begin(&breaker, 1000);
    assert_int_equal(breaker_state_may(&breaker, 5, 1999, &retry_ms), 0);
    assert_int_equal(breaker_state_may(&breaker, 5, 2000, &retry_ms), 1);
    assert_int_not_equal(breaker_state_begin(&breaker, 2000), 0);
    breaker_state_end(&breaker, late, BREAKER_SUCCESS, 2500);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
}

/* A probe that told nothing gives its place to another one, and only its own place. */
static void a_neutral_probe_gives_its_place_back(void **state)
{
    struct breaker_state breaker;
    int64_t retry_ms = 0;
    uint64_t ticket;

    (void)state;
    tripped(&breaker, &plan);
    breaker_state_may(&breaker, 5, 1000, &retry_ms);
    breaker_state_took(&breaker, 1);
    ticket = breaker_state_begin(&breaker, 1000);
    breaker_state_end(&breaker, ticket, BREAKER_NEUTRAL, 1001);
    assert_int_equal(breaker_state_may(&breaker, 5, 1001, &retry_ms), 1);
    breaker_state_end(&breaker, ticket, BREAKER_NEUTRAL, 1001);
    assert_int_equal(breaker_state_may(&breaker, 5, 1001, &retry_ms), 1);
}

/* A new plan: what was counted stays, an open time that runs does, too, and the next one is new. */
static void a_change_keeps_what_was_counted(void **state)
{
    struct breaker_plan stricter = plan;
    struct breaker_state breaker;
    int64_t retry_ms = 0;

    (void)state;
    breaker_state_init(&breaker, &plan, 7);
    calls(&breaker, "sff", 7);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    stricter.min_calls = 3;
    stricter.open_ms = 3000;
    breaker_state_change(&breaker, &stricter, 8);
    assert_int_equal(breaker.phase, BREAKER_CLOSED); /* before the next failure */
    calls(&breaker, "f", 8);
    assert_int_equal(breaker.phase, BREAKER_OPEN);
    stricter.open_ms = 100;
    breaker_state_change(&breaker, &stricter, 9);
    assert_int_equal(breaker_state_may(&breaker, 5, 9, &retry_ms), 0);
    assert_int_equal(retry_ms, 2999);
    call(&breaker, BREAKER_SUCCESS, 3008);
    assert_int_equal(breaker.phase, BREAKER_CLOSED);
    calls(&breaker, "fff", 3009);
    assert_int_equal(breaker_state_may(&breaker, 5, 3009, &retry_ms), 0);
    assert_int_equal(retry_ms, 100);
}

/* A window of another length, longer or shorter, begins empty, and slides. */
static void another_window_begins_empty(void **state)
{
    static const int64_t lengths[] = {1000, 100000};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int64_t length = lengths[i];
        struct breaker_plan other = plan;
        struct breaker_state breaker;

        other.window_ms = length;
        breaker_state_init(&breaker, &plan, 1000000);
        calls(&breaker, "fff", 1000000);
        breaker_state_change(&breaker, &other, 1000000);
        calls(&breaker, "fff", 1000000);
        assert_int_equal(breaker.phase, BREAKER_CLOSED);
        calls(&breaker, "s", 1000000 + length); /* the others have left */
        assert_int_equal(breaker_state_sum(&breaker).calls, 1);
        calls(&breaker, "fff", 1000000 + length);
        assert_int_equal(breaker.phase, BREAKER_OPEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tripping_by_table),
        cmocka_unit_test(old_calls_leave_the_window),
        cmocka_unit_test(the_window_slides_step_by_step),
        cmocka_unit_test(a_late_reading_does_not_slide_back),
        cmocka_unit_test(successes_counted_apart_weigh_the_same),
        cmocka_unit_test(open_until_its_time),
        cmocka_unit_test(half_open_admits_its_probes),
        cmocka_unit_test(probes_by_table),
        cmocka_unit_test(open_time_grows_and_is_reset),
        cmocka_unit_test(closing_forgets_the_window),
        cmocka_unit_test(old_tickets_do_not_count),
        cmocka_unit_test(lost_probes_are_replaced),
        cmocka_unit_test(a_neutral_probe_gives_its_place_back),
        cmocka_unit_test(a_change_keeps_what_was_counted),
        cmocka_unit_test(another_window_begins_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
