/* test_otlp.c - the exporter against a collector that takes, refuses, hangs, or is gone: what
 * arrives, what is counted as lost, and that its end is prompt.
 */
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "observe/otlp.h"
#include "support/collector.h"
#include "support/test.h"

#define PATIENCE_MS 60000
#define STOP_MS     2000

struct rig {
    struct collector *collector;
    struct otlp *otlp;
    struct warren_series *exported;
    struct warren_series *unreachable;
    struct warren_series *refused;
    struct warren_series *stopped;
    double before[4];
    char url[128];
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* What each counted since the rig was made. */
static long exported(const struct rig *rig)
{
    return (long)(metric_value(rig->exported) - rig->before[0]);
}

static long unreachable(const struct rig *rig)
{
    return (long)(metric_value(rig->unreachable) - rig->before[1]);
}

static long refused(const struct rig *rig)
{
    return (long)(metric_value(rig->refused) - rig->before[2]);
}

static long stopped(const struct rig *rig)
{
    return (long)(metric_value(rig->stopped) - rig->before[3]);
}

static int setup(void **state)
{
    static const char *const headers[] = {"X-Token: secret"};
    static const struct otlp_attribute resource[] = {{"service.name", "test"}};
    struct rig *rig = calloc(1, sizeof *rig);
    struct otlp_options options = {.headers = headers,
                                   .header_count = 1,
                                   .resource = resource,
                                   .resource_count = 1,
                                   .ratio = 1};
    struct warren_error error;

    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    rig->collector = collector_new();
    snprintf(rig->url, sizeof rig->url, "%s/v1/traces", collector_url(rig->collector));
    options.url = rig->url;
    rig->exported = metric_series(METRIC_SPANS_EXPORTED);
    rig->unreachable = metric_series(METRIC_SPANS_DROPPED, "unreachable");
    rig->refused = metric_series(METRIC_SPANS_DROPPED, "refused");
    rig->stopped = metric_series(METRIC_SPANS_DROPPED, "stopped");
    rig->before[0] = metric_value(rig->exported);
    rig->before[1] = metric_value(rig->unreachable);
    rig->before[2] = metric_value(rig->refused);
    rig->before[3] = metric_value(rig->stopped);
    *state = rig;
    return otlp_start(&options, &rig->otlp, &error) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    otlp_stop(rig->otlp, 0);
    otlp_free(rig->otlp);
    collector_free(rig->collector);
    metric_release(rig->exported);
    metric_release(rig->unreachable);
    metric_release(rig->refused);
    metric_release(rig->stopped);
    free(rig);
    return 0;
}

static void put(struct rig *rig, int count)
{
    struct tracer *tracer = otlp_tracer(rig->otlp);

    for (int i = 0; i < count; i++) {
        struct span *span = span_begin(tracer, SPAN_ACK, SPAN_CLIENT);

        assert_non_null(span);
        span_begin_trace(&span->self);
        span_put_text(span, SPAN_QUEUE, "jobs");
        span_end(tracer, span);
    }
}

static void rest(void)
{
    struct timespec step = {.tv_nsec = 5000000};

    nanosleep(&step, NULL);
}

#define AWAIT(expression)                                                                          \
    do {                                                                                           \
        int64_t end_ms_ = now_ms() + PATIENCE_MS;                                                  \
        while (!(expression)) {                                                                    \
            if (now_ms() > end_ms_)                                                                \
                fail_msg("in vain: %s", #expression);                                              \
            rest();                                                                                \
        }                                                                                          \
    } while (0)

/* ---- taken ---- */

/* A whole batch leaves at once, the rest at the end; each span arrives once. */
static void batches_arrive(void **state)
{
    struct rig *rig = *state;

    put(rig, SPAN_BATCH + 7);
    AWAIT(exported(rig) >= SPAN_BATCH);
    assert_int_equal(collector_count(rig->collector), SPAN_BATCH);
    assert_true(collector_saw(rig->collector, "POST /v1/traces HTTP/1.1\r\n"));
    assert_true(collector_saw(rig->collector, "X-Token: secret\r\n"));
    assert_true(collector_saw(rig->collector, "Content-Type: application/json\r\n"));
    otlp_stop(rig->otlp, PATIENCE_MS);
    assert_int_equal(collector_named(rig->collector, "ack jobs"), SPAN_BATCH + 7);
    assert_int_equal(collector_malformed(rig->collector), 0);
    assert_string_equal(collector_resource(rig->collector, "service.name"), "test");
    assert_int_equal(exported(rig), SPAN_BATCH + 7);
    assert_int_equal(unreachable(rig) + refused(rig) + stopped(rig), 0);
}

/* Lines of the log; the exporter's thread writes them. */
static struct {
    atomic_uint count;
    char texts[4][1024];
} lines;

static void take_line(enum warren_log_level level, const char *line, void *user)
{
    unsigned count = atomic_load(&lines.count);

    (void)level;
    (void)user;
    if (count < 4)
        snprintf(lines.texts[count], sizeof lines.texts[count], "%s", line);
    atomic_store(&lines.count, count + 1);
}

/* It takes the requests, and says that it did not take the spans: that is counted, and told at
 * once, then once in a while, and what is left of it at the end. */
static void rejected_spans_are_counted_and_told(void **state)
{
    static const char says[] = "the collector takes requests, and rejects spans in them";
    struct rig *rig = *state;

    log_set(WARREN_LOG_WARN, LOG_LOGFMT);
    atomic_store(&lines.count, 0);
    assert_int_equal(log_divert(take_line, NULL), WARREN_OK);
    collector_set(rig->collector, COLLECTOR_REJECTS, 0);
    put(rig, SPAN_BATCH);
    AWAIT(atomic_load(&lines.count) == 1);
    put(rig, SPAN_BATCH);
    AWAIT(refused(rig) == 2 * SPAN_BATCH);
    put(rig, 5);
    otlp_stop(rig->otlp, PATIENCE_MS);
    log_divert(NULL, NULL);
    assert_int_equal(refused(rig), 2 * SPAN_BATCH + 5);
    assert_int_equal(exported(rig), 0);
    assert_int_equal(atomic_load(&lines.count), 2);
    assert_non_null(strstr(lines.texts[0], says));
    assert_non_null(strstr(lines.texts[0], "rejectedSpans"));
    assert_non_null(strstr(lines.texts[0], "rejected=512"));
    assert_non_null(strstr(lines.texts[1], says));
    assert_non_null(strstr(lines.texts[1], "rejected=517"));
}

/* ---- not taken ---- */

/* What must not be tried again is dropped at once, and what comes next is sent. */
static void an_error_drops_the_batch(void **state)
{
    struct rig *rig = *state;

    collector_set(rig->collector, COLLECTOR_ANSWERS, 500);
    put(rig, SPAN_BATCH);
    AWAIT(refused(rig) == SPAN_BATCH);
    assert_int_equal(collector_requests(rig->collector), 1);
    collector_set(rig->collector, COLLECTOR_TAKES, 0);
    put(rig, SPAN_BATCH);
    AWAIT(exported(rig) == SPAN_BATCH);
}

/* What may be tried again is, until it is taken. */
static void a_busy_collector_is_asked_again(void **state)
{
    struct rig *rig = *state;

    collector_set(rig->collector, COLLECTOR_ANSWERS, 503);
    put(rig, SPAN_BATCH);
    AWAIT(collector_requests(rig->collector) >= 2);
    collector_set(rig->collector, COLLECTOR_TAKES, 0);
    AWAIT(exported(rig) == SPAN_BATCH);
    assert_int_equal(collector_count(rig->collector), SPAN_BATCH);
    assert_int_equal(unreachable(rig) + refused(rig), 0);
}

/* An answer without end is not read to its end. */
static void a_huge_answer_is_refused(void **state)
{
    struct rig *rig = *state;

    collector_set(rig->collector, COLLECTOR_HUGE, 0);
    put(rig, SPAN_BATCH);
    AWAIT(refused(rig) == SPAN_BATCH);
}

/* The end waits for nobody: a request that hangs is cut off, the rest is counted. */
static void a_hanging_collector_does_not_hold_up_the_end(void **state)
{
    struct rig *rig = *state;
    int64_t begun_ms;

    collector_set(rig->collector, COLLECTOR_HANGS, 0);
    put(rig, 2 * SPAN_BATCH + 3);
    AWAIT(collector_requests(rig->collector) == 1);
    begun_ms = now_ms();
    otlp_stop(rig->otlp, STOP_MS);
    assert_true(now_ms() - begun_ms < PATIENCE_MS / 2);
    assert_int_equal(unreachable(rig) + stopped(rig), 2 * SPAN_BATCH + 3);
    assert_int_equal(exported(rig), 0);
}

static void one_that_is_gone_does_not_either(void **state)
{
    struct rig *rig = *state;

    collector_go_away(rig->collector);
    put(rig, SPAN_BATCH + 1);
    otlp_stop(rig->otlp, STOP_MS);
    assert_int_equal(unreachable(rig) + stopped(rig), SPAN_BATCH + 1);
    otlp_stop(rig->otlp, STOP_MS); /* harmless */
}

static void look(void *user, const struct metric_family_info *family,
                 const struct metric_reading *reading)
{
    double *values = user;

    if (strcmp(family->name, "warren_spans_waiting") == 0)
        values[0] = reading->value;
    if (strcmp(family->name, "warren_spans_max_waiting") == 0)
        values[1] = reading->value;
}

/* What waits behind a batch that is under way, and how much may, can be read. */
static void what_waits_is_shown(void **state)
{
    struct rig *rig = *state;
    double values[2] = {-1, -1};
    const struct metrics_visitor visitor = {.series = look, .user = values};

    collector_set(rig->collector, COLLECTOR_HANGS, 0);
    put(rig, SPAN_BATCH);
    AWAIT(collector_requests(rig->collector) == 1);
    put(rig, 9);
    metrics_read(&visitor);
    assert_true(values[0] == 9 && values[1] == SPAN_SLOTS);
}

/* Without time nothing is sent, and all is counted. */
static void an_end_without_time_drops(void **state)
{
    struct rig *rig = *state;

    collector_set(rig->collector, COLLECTOR_HANGS, 0);
    put(rig, 9);
    otlp_stop(rig->otlp, 0);
    assert_int_equal(unreachable(rig) + stopped(rig), 9);
    put(rig, 1); /* by a handler that never returned: it is nobody's */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_arrive),
        TEST(rejected_spans_are_counted_and_told),
        TEST(an_error_drops_the_batch),
        TEST(a_busy_collector_is_asked_again),
        TEST(a_huge_answer_is_refused),
        TEST(a_hanging_collector_does_not_hold_up_the_end),
        TEST(one_that_is_gone_does_not_either),
        TEST(what_waits_is_shown),
        TEST(an_end_without_time_drops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
