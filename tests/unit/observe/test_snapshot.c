/* test_snapshot.c - observe/snapshot.h: what the page is told, whatever names and errors hold. */
#include "observe/snapshot.h"

#include "base/metrics.h"
#include "support/test.h"

#define STRANGE "<script>\"\\\n\x01\xff"
#define ESCAPED "\\u003cscript\\u003e\\\"\\\\\\u000a\\u0001\xef\xbf\xbd"

struct rig {
    struct health health;
    struct config config;
    struct buffer buffer;
    struct json_writer json;
};

static int setup(void **state)
{
    static const struct config_subscription subscriptions[] = {
        {.queue = STRANGE, .dead_exchange = "x", .dead_queue = "dead \"letters\""},
        {.queue = "no dead letters"}};
    static struct rig rig;

    rig = (struct rig){.config = {.subscriptions = subscriptions, .subscription_count = 2}};
    health_init(&rig.health);
    buffer_init(&rig.buffer, (size_t)1 << 20);
    json_writer_init(&rig.json, &rig.buffer);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    health_done(&rig->health);
    buffer_done(&rig->buffer);
    return 0;
}

static const char *written(struct rig *rig)
{
    assert_int_equal(rig->json.status, WARREN_OK);
    assert_int_equal(buffer_append(&rig->buffer, "", 1), WARREN_OK);
    return (const char *)buffer_front(&rig->buffer);
}

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s lacks %s", text, part);
}

static const char *snapshot(struct rig *rig)
{
    const struct snapshot_source source = {
        .health = &rig->health, .config = &rig->config, .may_change = true};

    snapshot_write(&source, 1000, &rig->json);
    return written(rig);
}

/* Series as the registry has them: numbers, histograms by bucket, and no zeros of states. */
static void metrics_are_told(void **state)
{
    struct rig *rig = *state;
    struct warren_series *received = metric_series(METRIC_RECEIVED, STRANGE, "x.y");
    struct warren_series *time = metric_series(METRIC_HANDLER_TIME, STRANGE, "x.y");
    struct warren_series *ack = metric_series(METRIC_SETTLED, STRANGE, "x.y", "ack");
    struct warren_series *retry = metric_series(METRIC_SETTLED, STRANGE, "x.y", "retry");
    struct warren_series *other = metric_series(METRIC_STALE, STRANGE, "x.y");
    const char *text;

    warren_count(received, 3);
    warren_count(ack, 2);
    warren_observe(time, 0.0002);
    warren_observe(time, 0.0003);
    text = snapshot(rig);
    expect(text, "\"warren_messages_received_total\":{\"labels\":[\"queue\",\"handler\"],"
                 "\"series\":[[[\"" ESCAPED "\",\"x.y\"],3]]}");
    expect(text, "\"series\":[[[\"" ESCAPED "\",\"x.y\",\"ack\"],2]]");
    expect(text, "\"bounds_us\":[100,250,500,");
    expect(text, "[[\"" ESCAPED "\",\"x.y\"],500,[0,1,1]]");
    assert_null(strstr(text, "\"retry\""));
    assert_null(strstr(text, "warren_stale_acks_total"));
    metric_release(received);
    metric_release(time);
    metric_release(ack);
    metric_release(retry);
    metric_release(other);
}

/* What is not of a metric: the phase, health, and which queues have dead letters. */
static void the_worker_is_told(void **state)
{
    struct rig *rig = *state;
    const char *text;

    health_phase(&rig->health, WARREN_WORKER_DRAINING);
    text = snapshot(rig);
    expect(text, "\"phase\":\"draining\",\"may_change\":true,\"health\":[{\"reasons\":[]");
    expect(text, "\"reason\":\"the worker drains, and ends\"}]");
    expect(text, "\"dead_letters\":[{\"queue\":\"" ESCAPED
                 "\",\"dead_queue\":\"dead \\\"letters\\\"\"}],");
}

/* Dead-letter queues are told once each, with those that share it; a depth that is not known is not
 * 0. */
static void dead_letter_queues_are_told(void **state)
{
    static const struct config_subscription subscriptions[] = {
        {.queue = "a", .dead_exchange = "x", .dead_queue = "dead"},
        {.queue = "b", .dead_exchange = "x", .dead_queue = "b\"dead"},
        {.queue = "c"},
        {.queue = "d", .dead_exchange = "x", .dead_queue = "dead"}};
    struct rig *rig = *state;
    struct warren_series *depth = metric_series(METRIC_QUEUE_MESSAGES, "dead");

    rig->config.subscriptions = subscriptions;
    rig->config.subscription_count = 4;
    warren_set(depth, 12);
    snapshot_dead_letters(&rig->config, &rig->json);
    assert_string_equal(
        written(rig), "{\"queues\":[{\"queue\":\"dead\",\"sources\":[\"a\",\"d\"],\"messages\":12},"
                      "{\"queue\":\"b\\\"dead\",\"sources\":[\"b\"],\"messages\":null}]}");
    metric_release(depth);
}

/* Above the bound of the buffer it is said, and nothing is cut in the middle unseen. */
static void too_much_is_told(void **state)
{
    struct rig *rig = *state;
    const struct snapshot_source source = {.health = &rig->health, .config = &rig->config};

    rig->buffer.max = 256;
    snapshot_write(&source, 1000, &rig->json);
    assert_int_equal(rig->json.status, WARREN_EFULL);
}

/* Groups of failures are told with all that is known, and nothing where nothing failed. */
static void failures_are_told(void **state)
{
    struct rig *rig = *state;
    struct failure_groups groups;
    struct failure failure = {.queue = "q",
                              .handler = "x.y",
                              .reason = "crash",
                              .error = STRANGE " 17",
                              .signal = "SIGSEGV",
                              .backtrace = "#0 f\n#1 g",
                              .message_id = {"id\"1", 4},
                              .attempt = 2,
                              .at_ms = 1000};
    const char *text;

    failure_groups_init(&groups);
    failure_groups_add(&groups, &failure);
    failure.at_ms = 5000;
    failure_groups_add(&groups, &failure);
    failure.error = NULL;
    failure.signal = failure.backtrace = NULL;
    failure.message_id.len = 0;
    failure_groups_add(&groups, &failure);
    snapshot_failures(&groups, &rig->json);
    text = written(rig);
    expect(text, "\"count\":2,\"attempt\":2,\"first_ms\":1000,\"last_ms\":5000,"
                 "\"message_id\":\"id\\\"1\",\"signal\":\"SIGSEGV\","
                 "\"backtrace\":\"#0 f\\u000a#1 g\"}");
    expect(text, "\"signature\":\"" ESCAPED " #\",\"error\":\"" ESCAPED " 17\"");
    expect(text, "\"message_id\":null,\"signal\":null,\"backtrace\":null}");
    failure_groups_done(&groups);
}

static void no_failures_are_told(void **state)
{
    struct rig *rig = *state;

    snapshot_failures(NULL, &rig->json);
    assert_string_equal(written(rig), "{\"groups\":[],\"forgotten\":0}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(metrics_are_told),  TEST(the_worker_is_told),
        TEST(too_much_is_told),  TEST(dead_letter_queues_are_told),
        TEST(failures_are_told), TEST(no_failures_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
