/* test_metrics.c - base/metrics.h, metric_cells.h, exposition.h and <warren/metrics.h>. */
#include "base/metrics.h"
#include "support/metric_page.h"
#include "support/test.h"
#include "unit/comma_locale.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Is @line a whole line of the page? */
static bool has_line(const char *line)
{
    char *text = metric_page();
    char *at = text;
    size_t len = strlen(line);
    bool found = false;

    while (!found && (at = strstr(at, line))) {
        found = (at == text || at[-1] == '\n') && at[len] == '\n';
        at += len;
    }
    free(text);
    return found;
}

static struct warren_metric counter_named(const char *name)
{
    return (struct warren_metric){.size = sizeof(struct warren_metric),
                                  .name = name,
                                  .help = "Something.",
                                  .type = WARREN_COUNTER};
}

static struct warren_series *series_of(const struct warren_metric *metric,
                                       const char *const *values)
{
    struct warren_series *series = NULL;
    struct warren_error error = {WARREN_OK, ""};

    if (warren_metric_series(metric, values, &series, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    return series;
}

/* ---- counting ---- */

#define THREADS 8
#define TIMES   10000

static void *count_many(void *arg)
{
    for (int i = 0; i < TIMES; i++)
        warren_count(arg, 1);
    return NULL;
}

/* No count of any thread is lost, of those that ended either, also when threads come and go. */
static void counts_of_all_threads_add_up(void **state)
{
    struct warren_metric metric = counter_named("test_threads_total");
    struct warren_series *series = series_of(&metric, NULL);
    pthread_t threads[THREADS];

    (void)state;
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_many, series), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        warren_count(series, 1);
        assert_true(metric_value(series) == (double)round * (THREADS * TIMES + 1));
    }
    assert_true(has_line("# TYPE test_threads_total counter"));
    assert_true(has_line("# HELP test_threads_total Something."));
    assert_true(has_line("test_threads_total 240003"));
}

/* What somebody reads meanwhile only grows. */
static void readers_see_a_growing_count(void **state)
{
    struct warren_metric metric = counter_named("test_growing_total");
    struct warren_series *series = series_of(&metric, NULL);
    pthread_t thread;
    double before = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, count_many, series), 0);
    while (before < TIMES) {
        double now = metric_value(series);

        assert_true(now >= before);
        before = now;
    }
    pthread_join(thread, NULL);
    assert_true(metric_value(series) == TIMES);
}

/* An observation is in the first bucket that it does not exceed, and in all above. */
static void buckets_are_cumulative(void **state)
{
    static const double bounds[] = {0.5, 1, 10};
    const struct warren_metric metric = {.size = sizeof metric,
                                         .name = "test_sizes",
                                         .help = "Sizes.",
                                         .type = WARREN_HISTOGRAM,
                                         .labels = LABELS("kind"),
                                         .bounds = bounds,
                                         .bound_count = 3};
    struct warren_series *series = series_of(&metric, LABELS("a"));

    (void)state;
    warren_observe(series, 0.5);
    warren_observe(series, 0.75);
    warren_observe(series, 10);
    warren_observe(series, 10.5);
    warren_observe(series, NAN);
    assert_true(has_line("# TYPE test_sizes histogram"));
    assert_true(has_line("test_sizes_bucket{kind=\"a\",le=\"0.5\"} 1"));
    assert_true(has_line("test_sizes_bucket{kind=\"a\",le=\"1\"} 2"));
    assert_true(has_line("test_sizes_bucket{kind=\"a\",le=\"10\"} 3"));
    assert_true(has_line("test_sizes_bucket{kind=\"a\",le=\"+Inf\"} 4"));
    assert_true(has_line("test_sizes_sum{kind=\"a\"} 21.75"));
    assert_true(has_line("test_sizes_count{kind=\"a\"} 4"));
    assert_true(metric_value(series) == 4);
}

static void a_gauge_is_what_it_was_set_to(void **state)
{
    const struct warren_metric metric = {.size = sizeof metric,
                                         .name = "test_level",
                                         .help = "A \\ level\nof two lines.",
                                         .type = WARREN_GAUGE};
    struct warren_series *series = series_of(&metric, NULL);

    (void)state;
    warren_set(series, 7);
    warren_set(series, -2.5);
    assert_true(has_line("test_level -2.5"));
    assert_true(has_line("# HELP test_level A \\\\ level\\nof two lines."));
    warren_set(series, 0.1);
    assert_true(has_line("test_level 0.1"));
    warren_set(series, 1796047014.12); /* a time: no digit is lost */
    assert_true(has_line("test_level 1796047014.12"));
    warren_set(series, 0.1 + 0.2);
    assert_true(has_line("test_level 0.30000000000000004"));
    warren_set(series, INFINITY);
    assert_true(has_line("test_level +Inf"));
}

/* What does not fit the type, or is no number, changes nothing; nor does NULL. */
static void nonsense_is_not_counted(void **state)
{
    struct warren_metric metric = counter_named("test_nonsense_total");
    struct warren_series *series = series_of(&metric, NULL);

    (void)state;
    warren_count(series, -1);
    warren_count(series, NAN);
    warren_count(series, INFINITY);
    warren_observe(series, 1);
    warren_set(series, 1);
    warren_count(NULL, 1);
    warren_observe(NULL, 1);
    warren_set(NULL, 1);
    assert_true(metric_value(series) == 0);
    warren_count(series, 0.5);
    assert_true(metric_value(series) == 0.5);
}

/* ---- labels ---- */

/* A plugin may have called setlocale(3). */
static void numbers_have_a_point(void **state)
{
    const struct warren_metric metric = {
        .size = sizeof metric, .name = "test_point", .help = "A number.", .type = WARREN_GAUGE};

    (void)state;
    TAKE_COMMA_LOCALE();
    warren_set(series_of(&metric, NULL), 1.5);
    assert_true(has_line("test_point 1.5"));
    setlocale(LC_ALL, "C");
}

/* Whatever a value holds, the page has one line of UTF-8 for it, escaped as Prometheus reads it. */
static void values_are_escaped(void **state)
{
    struct warren_metric metric = counter_named("test_escaped_total");
    char longest[1000];

    (void)state;
    metric.labels = LABELS("v");
    warren_count(series_of(&metric, LABELS("a\"b\\c\nd")), 1);
    assert_true(has_line("test_escaped_total{v=\"a\\\"b\\\\c\\nd\"} 1"));
    warren_count(series_of(&metric, LABELS("\xff<script>\xc3")), 2);
    assert_true(has_line("test_escaped_total{v=\"\xef\xbf\xbd<script>\xef\xbf\xbd\"} 2"));
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    warren_count(series_of(&metric, LABELS(longest)), 3);
    longest[METRIC_VALUE_MAX] = '\0';
    assert_true(metric_value(series_of(&metric, LABELS(longest))) == 3);
}

static void the_same_values_are_one_series(void **state)
{
    struct warren_metric metric = counter_named("test_same_total");
    struct warren_series *first;

    (void)state;
    metric.labels = LABELS("a", "b");
    first = series_of(&metric, LABELS("1", "2"));
    assert_ptr_equal(series_of(&metric, LABELS("1", "2")), first);
    assert_ptr_not_equal(series_of(&metric, LABELS("2", "1")), first);
    assert_ptr_not_equal(series_of(&metric, LABELS("1", "")), first);
}

/* A counter is a cell, what is there already none more, and a family keeps one for what finds no
 * room.
 */
static void cells_are_seen(void **state)
{
    struct warren_metric metric = counter_named("test_cells_total");
    double before = metric_on_page("warren_metric_cells");

    (void)state;
    metric.labels = LABELS("a");
    series_of(&metric, LABELS("1"));
    series_of(&metric, LABELS("2"));
    series_of(&metric, LABELS("2"));
    assert_true(metric_on_page("warren_metric_cells") == before + 3);
}

/* Above the bound everything counts in one series, and how often is counted. */
static void series_are_bounded(void **state)
{
    struct warren_metric metric = counter_named("test_bounded_total");
    char text[16];

    (void)state;
    metric.labels = LABELS("id");
    metric.series_max = 3;
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "%d", i);
        warren_count(series_of(&metric, LABELS(text)), 1);
    }
    assert_true(has_line("test_bounded_total{id=\"2\"} 1"));
    assert_false(has_line("test_bounded_total{id=\"3\"} 1"));
    assert_true(has_line("test_bounded_total{id=\"other\"} 7"));
    assert_true(has_line("warren_metric_series_refused_total{metric=\"test_bounded_total\"} 7"));
}

/* Handlers' series leave room for warren's own, however many there are. */
static void warrens_own_have_room(void **state)
{
    static char names[8][32];
    struct warren_series *own;
    char text[16];

    (void)state;
    for (int family = 0; family < 8; family++) {
        struct warren_metric metric;

        snprintf(names[family], sizeof names[family], "test_hog_%d_total", family);
        metric = counter_named(names[family]);
        metric.labels = LABELS("id");
        metric.series_max = 10000;
        for (int i = 0; i < 10000; i++) {
            struct warren_series *series = NULL;
            struct warren_error error;

            snprintf(text, sizeof text, "%d", i);
            if (warren_metric_series(&metric, LABELS(text), &series, &error) != WARREN_OK) {
                assert_int_equal(error.status, WARREN_EFULL);
                assert_non_null(strstr(error.text, "65536 cells"));
                break;
            }
            warren_count(series, 1);
        }
    }
    assert_true(metric_on_page("test_hog_6_total{id=\"other\"}") > 0);
    own = metric_series(METRIC_RECEIVED_BYTES, "late", "h");
    warren_count(own, 5);
    assert_true(has_line("warren_messages_received_bytes_total{queue=\"late\",handler=\"h\"} 5"));
    metric_release(own);
}

/* ---- what is refused ---- */

static void refused(const struct warren_metric *metric, const char *const *values,
                    const char *words)
{
    struct warren_series *series = NULL;
    struct warren_error error = {WARREN_OK, ""};

    assert_int_equal(warren_metric_series(metric, values, &series, &error), WARREN_EINVAL);
    assert_null(series);
    if (!strstr(error.text, words))
        fail_msg("not \"%s\": %s", words, error.text);
}

static void wrong_definitions_are_refused(void **state)
{
    static const double falling[] = {2, 1};
    struct warren_metric metric = counter_named("test_wrong_total");
    struct warren_series *series;

    (void)state;
    refused(NULL, NULL, "NULL");
    assert_int_equal(warren_metric_series(&metric, NULL, NULL, NULL), WARREN_EINVAL);
    metric.size = 8;
    refused(&metric, NULL, "size");
    metric = counter_named("warren_mine_total");
    refused(&metric, NULL, "are warren's");
    metric = counter_named("9lives_total");
    refused(&metric, NULL, "no name of a metric");
    metric = counter_named(NULL);
    refused(&metric, NULL, "no name of a metric");
    metric = counter_named("test_wrong");
    refused(&metric, NULL, "_total");
    metric = counter_named("test_wrong_total");
    metric.type = WARREN_GAUGE;
    refused(&metric, NULL, "_total");
    metric.type = (enum warren_metric_type)9;
    refused(&metric, NULL, "type 9");
    metric = counter_named("test_wrong_total");
    metric.help = "";
    refused(&metric, NULL, "help");
    metric.help = "Help.";
    metric.labels = LABELS("le");
    refused(&metric, LABELS("x"), "no name of a label");
    metric.labels = LABELS("__name");
    refused(&metric, LABELS("x"), "no name of a label");
    metric.labels = LABELS("a", "a");
    refused(&metric, LABELS("x", "y"), "twice");
    metric.labels = LABELS("a", "b", "c", "d", "e", "f", "g", "h", "i");
    refused(&metric, NULL, "more than 8");
    metric.labels = LABELS("a", "b");
    refused(&metric, LABELS("x"), "1 values");
    refused(&metric, LABELS("x", "y", "z"), "3 values");
    metric.labels = NULL;
    refused(&metric, LABELS("x"), "0 labels");
    metric = (struct warren_metric){.size = sizeof metric,
                                    .name = "test_wrong",
                                    .help = "Help.",
                                    .type = WARREN_HISTOGRAM,
                                    .bounds = falling,
                                    .bound_count = 2};
    refused(&metric, NULL, "bound 1");
    metric.bounds = NULL;
    refused(&metric, NULL, "bounds is NULL");
    metric = counter_named("test_wrong_total");
    metric.series_max = 20001;
    refused(&metric, NULL, "at most 20000");
    metric = (struct warren_metric){
        .size = sizeof metric, .name = "test_parts", .help = "Help.", .type = WARREN_HISTOGRAM};
    assert_int_equal(warren_metric_series(&metric, NULL, &series, NULL), WARREN_OK);
    metric.name = "test_parts_count";
    metric.type = WARREN_GAUGE;
    refused(&metric, NULL, "is a histogram");
    metric = counter_named("test_twice_total");
    assert_int_equal(warren_metric_series(&metric, NULL, &series, NULL), WARREN_OK);
    metric.help = "Something else.";
    refused(&metric, NULL, "registered already");
}

/* ---- warren's own ---- */

static void put(void *user)
{
    metric_put(user, 5);
}

/* A total that somebody else counts is what its collector puts, anew at each reading; a series that
 * nobody has is not shown. */
static void collectors_are_asked(void **state)
{
    struct warren_series *series = metric_series(METRIC_RECEIVED, "q", "h");
    struct metric_collector one = {.collect = put, .user = series, .lasts = true};
    struct metric_collector two = {.collect = put, .user = series};

    (void)state;
    metrics_collect_add(&one);
    assert_true(has_line("warren_messages_received_total{queue=\"q\",handler=\"h\"} 5"));
    assert_true(has_line("warren_messages_received_total{queue=\"q\",handler=\"h\"} 5"));
    metrics_collect_add(&two);
    assert_true(has_line("warren_messages_received_total{queue=\"q\",handler=\"h\"} 10"));
    metrics_collect_remove(&one);
    metrics_collect_remove(&two);
    /* What counts no more has counted: a total never falls. */
    assert_true(has_line("warren_messages_received_total{queue=\"q\",handler=\"h\"} 5"));
    metric_release(series);
    assert_false(has_line("warren_messages_received_total{queue=\"q\",handler=\"h\"} 5"));
}

/* Prometheus's rules for names: what its own linter asks for. */
static void names_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRICS; i++) {
        struct metric_family_info info;
        const char *labels;
        size_t len;

        metric_family_row(i, &info, &labels);
        len = strlen(info.name);
        assert_true(strncmp(info.name, "warren_", 7) == 0 ||
                    strncmp(info.name, "process_", 8) == 0);
        assert_int_equal(strcmp(info.name + len - 6, "_total") == 0, info.type == WARREN_COUNTER);
        assert_int_equal(info.bound_count > 0, info.type == WARREN_HISTOGRAM);
        assert_int_equal(info.help[strlen(info.help) - 1], '.');
    }
}

/* ---- fork ---- */

static void *count_for_ever(void *arg)
{
    for (;;) {
        warren_count(arg, 1);
        pthread_testcancel();
    }
    return NULL;
}

/* Whoever is counting or reading then: the child counts and reads, too. */
static void a_child_can_count(void **state)
{
    struct warren_metric metric = counter_named("test_fork_total");
    struct warren_series *series = series_of(&metric, NULL);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, count_for_ever, series), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            double before = metric_value(series);

            alarm(60);
            warren_count(series, 1);
            free(metric_page());
            _exit(metric_value(series) == before + 1 ? 0 : 1);
        }
        free(metric_page());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

static void *read_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        free(metric_page());
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        pthread_testcancel();
    }
    return NULL;
}

/* Whoever reads then does not stop it; and what the parent's collectors ask is not the child's. */
static void a_child_has_no_collectors(void **state)
{
    struct warren_series *series = metric_series(METRIC_RECEIVED, "fork", "h");
    struct metric_collector collector = {.collect = put, .user = series};
    pthread_t thread;

    (void)state;
    metrics_collect_add(&collector);
    assert_int_equal(pthread_create(&thread, NULL, read_for_ever, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            alarm(60);
            _exit(metric_on_page("warren_messages_received_total{queue=\"fork\",handler=\"h\"}") ==
                          0
                      ? 0
                      : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    assert_true(metric_on_page("warren_messages_received_total{queue=\"fork\",handler=\"h\"}") ==
                5);
    metrics_collect_remove(&collector);
    metric_release(series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_all_threads_add_up),
        cmocka_unit_test(readers_see_a_growing_count),
        cmocka_unit_test(buckets_are_cumulative),
        cmocka_unit_test(a_gauge_is_what_it_was_set_to),
        cmocka_unit_test(nonsense_is_not_counted),
        cmocka_unit_test(numbers_have_a_point),
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(the_same_values_are_one_series),
        cmocka_unit_test(cells_are_seen),
        cmocka_unit_test(series_are_bounded),
        cmocka_unit_test(wrong_definitions_are_refused),
        cmocka_unit_test(collectors_are_asked),
        cmocka_unit_test(names_are_right),
        cmocka_unit_test(a_child_can_count),
        cmocka_unit_test(a_child_has_no_collectors),
        cmocka_unit_test(warrens_own_have_room), /* last: it leaves no room for others */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
