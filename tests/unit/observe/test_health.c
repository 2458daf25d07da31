/* test_health.c - observe/health.h, with the test as the listener's thread and clock, over a
 * runtime that has no broker.
 */
#include "amqp/net/uri.h"
#include "base/clock.h"
#include "observe/health.h"
#include "support/test.h"

#include <sched.h>

#define DEADLINE_MS 30000

struct rig {
    struct health health;
    struct runtime *runtime;
    atomic_bool stopped;
    struct buffer buffer;
    int64_t now_ms;
};

static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct rig *rig = user;

    (void)status;
    (void)unfinished;
    atomic_store(&rig->stopped, true);
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static int setup(void **state)
{
    static const struct warren_handler handler = {.name = "handler", .handle = handle};
    static const struct config_topology no_topology;
    static const struct runtime_events events = {.stopped = on_stopped};
    static struct rig rig;
    static const struct runtime_subscription subscriptions[] = {{.queue = "a",
                                                                 .handler_name = "x.a",
                                                                 .handler = &handler,
                                                                 .prefetch = 10,
                                                                 .concurrency = 1},
                                                                {.queue = "b",
                                                                 .handler_name = "x.b",
                                                                 .handler = &handler,
                                                                 .prefetch = 20,
                                                                 .concurrency = 1}};
    struct connection_options connection;
    struct uri uri;
    const struct runtime_options options = {.connection = &connection,
                                            .topology = &no_topology,
                                            .subscriptions = subscriptions,
                                            .subscription_count = 2,
                                            .message_max = 1000,
                                            .drain_timeout_ms = 1000};

    rig = (struct rig){.now_ms = 1000000};
    health_init(&rig.health);
    buffer_init(&rig.buffer, 100000);
    connection_options_init(&connection);
    connection.name = "health";
    connection.uris = &uri;
    connection.uri_count = 1;
    /* A port that nobody listens on. */
    if (uri_parse("amqp://guest:guest@127.0.0.1:1/", &uri, NULL) != WARREN_OK ||
        runtime_new(&options, &events, &rig, &rig.runtime, NULL) != WARREN_OK)
        return -1;
    *state = &rig;
    return 0;
}

static int64_t real_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    health_unwatch(&rig->health);
    runtime_free(rig->runtime);
    health_done(&rig->health);
    buffer_done(&rig->buffer);
    return 0;
}

/* The answer of @ask, which is well or not. */
static const char *answer(struct rig *rig,
                          bool (*ask)(struct health *, int64_t, struct json_writer *), bool well)
{
    struct json_writer json;

    buffer_taken(&rig->buffer, buffer_len(&rig->buffer));
    json_writer_init(&json, &rig->buffer);
    assert_int_equal(ask(&rig->health, rig->now_ms, &json), well);
    assert_int_equal(json.status, WARREN_OK);
    assert_int_equal(buffer_append(&rig->buffer, "", 1), WARREN_OK);
    return (const char *)buffer_front(&rig->buffer);
}

/* What does not run yet is alive, and not ready. */
static void a_worker_that_starts_is_alive(void **state)
{
    struct rig *rig = *state;

    assert_string_equal(answer(rig, health_live, true), "{\"reasons\":[],\"status\":\"ok\"}");
    assert_string_equal(answer(rig, health_ready, false),
                        "{\"subscriptions\":[],\"status\":\"not ready\",\"reason\":\"the worker "
                        "starts\"}");
}

/* A loop that does not answer in time hangs; which one is told. */
static void a_loop_that_hangs_is_not_alive(void **state)
{
    struct rig *rig = *state;

    health_watch(&rig->health, rig->runtime, NULL);
    health_beat(&rig->health, rig->now_ms);
    rig->now_ms += HEALTH_SILENT_MS - 1;
    answer(rig, health_live, true);
    health_beat(&rig->health, rig->now_ms); /* the first one is still unanswered */
    rig->now_ms++;
    assert_non_null(strstr(answer(rig, health_live, false),
                           "the event loop that consumes has not turned for 10 s"));
    assert_non_null(strstr(answer(rig, health_ready, false), "has not turned for 10 s"));
    health_unwatch(&rig->health);
    answer(rig, health_live, true);
}

/* The reason of the first subscription that is not ready is that of all. */
static void a_subscription_without_a_broker_is_not_ready(void **state)
{
    struct rig *rig = *state;
    int64_t end_ms = real_ms() + DEADLINE_MS;
    const char *said = "";

    assert_int_equal(runtime_start(rig->runtime, NULL), WARREN_OK);
    health_watch(&rig->health, rig->runtime, NULL);
    health_beat(&rig->health, rig->now_ms);
    while (!strstr(said, "no connection") && real_ms() < end_ms) {
        said = answer(rig, health_ready, false);
        sched_yield();
    }
    assert_non_null(strstr(said, "{\"queue\":\"a\",\"handler\":\"x.a\",\"ready\":false,\"state\":"
                                 "\"no connection\",\"reason\":\"there is no connection to "));
    assert_non_null(strstr(said, "\"running\":0,\"queued\":0,\"held\":0,\"prefetch\":20,"
                                 "\"messages\":null,\"consumers\":null}]"));
    assert_non_null(
        strstr(said, "\"reason\":\"queue a: no connection: there is no connection to "));
    answer(rig, health_live, true);
    health_phase(&rig->health, WARREN_WORKER_DRAINING);
    assert_non_null(strstr(answer(rig, health_ready, false), "\"reason\":\"the worker drains"));
    runtime_abort(rig->runtime);
    runtime_join(rig->runtime);
    assert_true(atomic_load(&rig->stopped));
    /* Its loop has ended: nobody is to wait for an answer of it. */
    health_phase(&rig->health, WARREN_WORKER_ENDED);
    health_beat(&rig->health, rig->now_ms);
    rig->now_ms += 2 * HEALTH_SILENT_MS;
    answer(rig, health_live, true);
    assert_non_null(strstr(answer(rig, health_ready, false), "\"reason\":\"the worker has ended"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_worker_that_starts_is_alive),
        TEST(a_loop_that_hangs_is_not_alive),
        TEST(a_subscription_without_a_broker_is_not_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
