/* test_top_table.c - command/watch/top_table.h and scrape.h. */
#include "command/watch/scrape.h"
#include "command/watch/top_table.h"
#include "support/test.h"

#include <math.h>

/* ---- reading a page ---- */

struct taken {
    size_t count;
    double sum;
    char value[64];
};

static bool take(void *user, const struct scrape_sample *sample)
{
    struct taken *taken = user;
    const char *value = scrape_label(sample, "v");

    taken->count++;
    taken->sum += sample->value;
    if (value)
        snprintf(taken->value, sizeof taken->value, "%s", value);
    return true;
}

static enum warren_status read_page(const char *page, struct taken *taken)
{
    struct warren_error error;
    char *text = strdup(page);
    enum warren_status status;

    *taken = (struct taken){.count = 0};
    status = scrape_read(text, take, taken, &error);
    free(text);
    return status;
}

static void samples_are_read(void **state)
{
    struct taken taken;

    (void)state;
    assert_int_equal(read_page("# HELP a b\n# TYPE a counter\na 1\nb{} 2.5 1700000000\n\n"
                               "c {v=\"x\\\"y\\\\z\\n\", w=\"\",} 3e2",
                               &taken),
                     WARREN_OK);
    assert_int_equal(taken.count, 3);
    assert_true(taken.sum == 303.5);
    assert_string_equal(taken.value, "x\"y\\z\n");
    assert_int_equal(read_page("d_bucket{le=\"+Inf\"} +Inf\n", &taken), WARREN_OK);
    assert_true(isinf(taken.sum));
}

static void what_is_no_sample_is_refused(void **state)
{
    static const char *const pages[] = {"a",           "a x",        "{} 1",        "a{v} 1",
                                        "a{v=x} 1",    "a{v=\"x} 1", "a{v=\"x\" 1", "a{v=\"x\\",
                                        "a{=\"x\"} 1", "<html>",     "a{v=\"1\"}",  "a 1z"};
    struct taken taken;

    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (read_page(pages[i], &taken) != WARREN_EINVAL)
            fail_msg("%s", pages[i]);
}

/* ---- the table ---- */

#define PAGE                                                                                       \
    "warren_messages_received_total{queue=\"q\",handler=\"h\"} %d\n"                               \
    "warren_messages_settled_total{queue=\"q\",handler=\"h\",outcome=\"ack\"} %d\n"                \
    "warren_messages_settled_total{queue=\"q\",handler=\"h\",outcome=\"reject\"} 1\n"              \
    "warren_job_failures_total{queue=\"q\",handler=\"h\",reason=\"error\"} %d\n"                   \
    "warren_messages_in_flight{queue=\"q\",handler=\"h\",state=\"running\"} 2\n"                   \
    "warren_workers{queue=\"q\",handler=\"h\"} 4\n"                                                \
    "warren_pool_min_threads{queue=\"q\",handler=\"h\"} 2\n"                                       \
    "warren_pool_max_threads{queue=\"q\",handler=\"h\"} 32\n"                                      \
    "warren_subscription_consuming{queue=\"q\",handler=\"h\"} 1\n"                                 \
    "warren_handler_duration_seconds_bucket{queue=\"q\",handler=\"h\",le=\"0.1\"} %d\n"            \
    "warren_handler_duration_seconds_bucket{queue=\"q\",handler=\"h\",le=\"0.2\"} %d\n"            \
    "warren_handler_duration_seconds_bucket{queue=\"q\",handler=\"h\",le=\"+Inf\"} %d\n"           \
    "warren_handler_duration_seconds_sum{queue=\"q\",handler=\"h\"} %d\n"                          \
    "warren_handler_duration_seconds_count{queue=\"q\",handler=\"h\"} %d\n"

static void read_into(struct top_table *table, size_t worker, double seconds, int received, int sum)
{
    struct warren_error error = {WARREN_OK, ""};
    char text[4096];

    snprintf(text, sizeof text, PAGE, received, received, received / 10, received / 2, received,
             received, sum, received);
    if (top_table_read(table, worker, text, seconds, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

/* Two readings make rates, quantiles and the busy share; one alone makes none. */
static void two_readings_make_rates(void **state)
{
    struct top_table table = {NULL, 0, 0};
    struct top_row *row;

    (void)state;
    read_into(&table, 0, 0, 100, 10);
    assert_int_equal(table.count, 1);
    assert_true(isnan(TOP_RATE(&table.rows[0], received)));
    assert_true(isnan(top_quantile(&table.rows[0], 0.5)));
    read_into(&table, 0, 2, 300, 14);
    row = &table.rows[0];
    assert_string_equal(row->queue, "q");
    assert_true(row->consuming);
    assert_true(row->running == 2);
    assert_true(TOP_RATE(row, received) == 100);
    assert_true(TOP_RATE(row, settled) == 100);
    assert_true(TOP_RATE(row, failures) == 10);
    assert_true(top_busy(row) == 0.5);
    assert_true(row->threads_least == 2 && row->threads_most == 32);
    assert_true(fabs(top_quantile(row, 0.5) - 0.1) < 1e-9);
    assert_true(fabs(top_quantile(row, 0.75) - 0.15) < 1e-9);
    assert_int_equal(row->reason_count, 1);
    assert_string_equal(row->reasons[0].name, "error");
    assert_true(row->reasons[0].total - row->reasons[0].before == 20);
    top_table_done(&table);
}

/* A worker that began anew, one that left, and one that lost a subscription. */
static void workers_come_and_go(void **state)
{
    struct top_table table = {NULL, 0, 0};
    struct warren_error error;
    char nothing[] = "process_cpu_seconds_total 1\n";

    (void)state;
    read_into(&table, 0, 0, 100, 10);
    read_into(&table, 1, 0, 100, 10);
    read_into(&table, 0, 1, 50, 5);
    assert_int_equal(table.count, 2);
    assert_true(isnan(TOP_RATE(&table.rows[0], received)));
    read_into(&table, 0, 1, 60, 6);
    assert_true(TOP_RATE(&table.rows[0], received) == 10);
    assert_int_equal(top_table_read(&table, 0, nothing, 1, &error), WARREN_OK);
    assert_int_equal(table.count, 1);
    assert_int_equal(table.rows[0].worker, 1);
    top_table_forget(&table, 1);
    assert_int_equal(table.count, 0);
    top_table_done(&table);
}

static void the_order_is_as_asked_for(void **state)
{
    struct top_table table = {NULL, 0, 0};

    (void)state;
    read_into(&table, 0, 0, 100, 10);
    read_into(&table, 1, 0, 100, 10);
    read_into(&table, 0, 1, 110, 11);
    read_into(&table, 1, 1, 500, 11);
    top_table_sort(&table, TOP_BY_RATE);
    assert_int_equal(table.rows[0].worker, 1);
    top_table_sort(&table, TOP_BY_NAME);
    assert_int_equal(table.rows[0].worker, 0);
    top_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_read),          cmocka_unit_test(what_is_no_sample_is_refused),
        cmocka_unit_test(two_readings_make_rates),   cmocka_unit_test(workers_come_and_go),
        cmocka_unit_test(the_order_is_as_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
