/* test_worker_service.c - app/worker_service.h: what a service manager is told, and when, with a
 * real socket, the test as the clock, and a runtime that has no broker.
 */
#include "amqp/net/uri.h"
#include "app/worker_service.h"
#include "base/log.h"
#include "support/manager.h"

#define SECOND_MS 1000

struct rig {
    struct manager manager;
    struct worker_service service;
    struct worker_service_facts facts;
    struct health health;
    struct runtime *runtime; /* NULL: not made */
    int64_t now_ms;
};

/* What was logged since the last setup. */
static char logged[16384];

static void take_line(enum warren_log_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    if (strlen(logged) + strlen(line) < sizeof logged)
        memcpy(logged + strlen(logged), line, strlen(line));
}

static int setup(void **state)
{
    static struct rig rig;

    rig = (struct rig){
        .now_ms = 1000000,
        .facts = {.subscriptions = 2, .drain_timeout_ms = 30000},
    };
    memset(logged, 0, sizeof logged);
    log_divert(take_line, NULL);
    manager_open(&rig.manager, NULL);
    health_init(&rig.health);
    setenv("NOTIFY_SOCKET", rig.manager.name, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    worker_service_take(&rig.service);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    log_divert(NULL, NULL);
    health_unwatch(&rig->health);
    runtime_free(rig->runtime);
    health_done(&rig->health);
    manager_close(&rig->manager);
    return 0;
}

/* @return what was told; "": nothing */
static const char *look(struct rig *rig)
{
    const char *told;

    worker_service_look(&rig->service, &rig->health, &rig->facts, rig->now_ms);
    told = manager_next(&rig->manager, 0);
    return told ? told : "";
}

static const char *look_as(struct rig *rig, enum warren_worker_state state)
{
    rig->facts.state = state;
    return look(rig);
}

/* ---- the life of a worker ---- */

static void a_life_is_told(void **state)
{
    struct rig *rig = *state;

    assert_string_equal(look(rig), "WATCHDOG=1\nSTATUS=not ready: the worker starts\n");
    assert_string_equal(look(rig), "");
    assert_string_equal(look_as(rig, WARREN_WORKER_READY),
                        "READY=1\nSTATUS=ready, with 2 subscriptions\n");
    rig->facts.stops = true;
    assert_string_equal(look_as(rig, WARREN_WORKER_DRAINING),
                        "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\n"
                        "STATUS=draining: ends within 30 s\n");
    assert_string_equal(look(rig), "");
}

/* It goes on in the same process, so it neither stops nor is ready for the first time. */
static void a_crash_is_no_end(void **state)
{
    struct rig *rig = *state;

    look_as(rig, WARREN_WORKER_READY);
    assert_string_equal(look_as(rig, WARREN_WORKER_DRAINING),
                        "STATUS=draining after a crash: begins anew\n");
    rig->facts.stops = true; /* SIGTERM meanwhile */
    assert_non_null(strstr(look(rig), "STOPPING=1\n"));
}

static void without_a_manager_nothing_is_done(void **state)
{
    struct rig *rig = *state;

    rig->service = (struct worker_service){.warned = false};
    assert_string_equal(look_as(rig, WARREN_WORKER_READY), "");
    assert_int_equal(worker_service_sleep_ms(&rig->service, rig->now_ms, -1), -1);
    assert_int_equal(worker_service_sleep_ms(&rig->service, rig->now_ms, 5000), 5000);
}

/* ---- reloading ---- */

static void a_reload_is_told(void **state)
{
    struct rig *rig = *state;

    look_as(rig, WARREN_WORKER_READY);
    worker_service_reloading(&rig->service, 123456789);
    assert_string_equal(manager_next(&rig->manager, 0), "RELOADING=1\nMONOTONIC_USEC=123456789\n");
    worker_service_reloaded(&rig->service);
    /* The broker may be away by now: the reload is over all the same. */
    assert_non_null(strstr(look_as(rig, WARREN_WORKER_STARTING), "READY=1\nSTATUS=not ready"));
    assert_string_equal(look(rig), "");
}

/* READY=1 would end a start that is not over. */
static void a_reload_while_it_starts_is_not_told(void **state)
{
    struct rig *rig = *state;

    look(rig);
    worker_service_reloading(&rig->service, 123456789);
    worker_service_reloaded(&rig->service);
    assert_string_equal(look(rig), "");
}

/* ---- the watchdog ---- */

/* Ten seconds are a third of the period; the main thread does not sleep beyond that. */
static void the_watchdog_is_answered_in_time(void **state)
{
    struct rig *rig = *state;

    assert_non_null(strstr(look(rig), "WATCHDOG=1\n"));
    for (int i = 1; i < 10; i++) {
        rig->now_ms += SECOND_MS;
        assert_string_equal(look(rig), "");
        assert_int_equal(worker_service_sleep_ms(&rig->service, rig->now_ms, -1), SECOND_MS);
    }
    rig->now_ms += SECOND_MS;
    assert_string_equal(look(rig), "WATCHDOG=1\n");
}

static void a_short_watchdog_is_answered_in_time(void **state)
{
    struct rig *rig = *state;

    rig->service.notify.watchdog_us = 300000;
    look(rig);
    assert_int_equal(worker_service_sleep_ms(&rig->service, rig->now_ms, 5000), 100);
    rig->now_ms += 100;
    assert_string_equal(look(rig), "WATCHDOG=1\n");
    rig->service.notify.watchdog_us = 1; /* no worker can do that, nor shall it eat a core */
    rig->now_ms += 100;
    assert_string_equal(look(rig), "WATCHDOG=1\n");
    assert_int_equal(worker_service_sleep_ms(&rig->service, rig->now_ms, 5000),
                     SERVICE_LOOK_MIN_MS);
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

/* Its loop does not turn, for it is not started. */
static void make_runtime(struct rig *rig)
{
    static const struct warren_handler handler = {.name = "handler", .handle = handle};
    static const struct config_topology no_topology;
    static const struct runtime_events no_events;
    static const struct runtime_subscription subscription = {
        .queue = "q", .handler_name = "x.q", .handler = &handler, .prefetch = 1, .concurrency = 1};
    struct connection_options connection;
    struct uri uri;
    const struct runtime_options options = {.connection = &connection,
                                            .topology = &no_topology,
                                            .subscriptions = &subscription,
                                            .subscription_count = 1,
                                            .message_max = 1000,
                                            .drain_timeout_ms = 1000};

    connection_options_init(&connection);
    connection.name = "service";
    connection.uris = &uri;
    connection.uri_count = 1;
    assert_int_equal(uri_parse("amqp://guest:guest@127.0.0.1:1/", &uri, NULL), WARREN_OK);
    assert_int_equal(runtime_new(&options, &no_events, NULL, &rig->runtime, NULL), WARREN_OK);
    health_watch(&rig->health, rig->runtime, NULL);
}

/* As /healthz has it: then systemd ends the worker by SIGABRT when its own time is over. */
static void a_loop_that_hangs_is_not_covered_up(void **state)
{
    struct rig *rig = *state;
    int answers = 0;

    make_runtime(rig);
    for (int i = 0; i < 60; i++) {
        answers += strstr(look(rig), "WATCHDOG=1\n") != NULL;
        rig->now_ms += SECOND_MS;
    }
    assert_int_equal(answers, 1);
    assert_non_null(strstr(logged, "the service manager's watchdog is not answered"));
    assert_non_null(strstr(logged, "the event loop that consumes has not turned for 10 s"));
    assert_null(strstr(strstr(logged, "watchdog is not") + 1, "watchdog is not")); /* once */
}

/* ---- what goes wrong ---- */

/* What is in a reason came from outside: it shall neither forge a line nor be refused as a whole.
 */
static void texts_from_outside_are_made_plain(void **state)
{
    struct rig *rig = *state;
    char text[4000];

    worker_service_failed(&rig->service, "no\nSTOPPING=1\x01\xff \xc3\xa9");
    assert_string_equal(manager_next(&rig->manager, 0), "STATUS=no?STOPPING=1?? \xc3\xa9\n");
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 1] = '\0';
    worker_service_failed(&rig->service, text);
    assert_int_equal(manager_next(&rig->manager, 0)[strlen(rig->manager.last) - 1], '\n');
    assert_true(strlen(rig->manager.last) < sizeof rig->service.status + 10);
}

/* One warning; the worker goes on, and says again what did not arrive. */
static void a_manager_that_is_gone_is_warned_of_once(void **state)
{
    struct rig *rig = *state;

    manager_close(&rig->manager);
    for (int i = 0; i < 5; i++) {
        rig->facts.state = WARREN_WORKER_READY;
        worker_service_look(&rig->service, &rig->health, &rig->facts, rig->now_ms);
        rig->now_ms += SECOND_MS;
    }
    assert_non_null(strstr(logged, "level=warn"));
    assert_null(strstr(strstr(logged, "level=warn") + 1, "level=warn"));
    manager_open(&rig->manager, NULL);
    setenv("NOTIFY_SOCKET", rig->manager.name, 1);
    notify_take(&rig->service.notify, NULL);
    assert_non_null(strstr(look(rig), "READY=1\n"));
}

static void a_wrong_environment_is_warned_of(void **state)
{
    struct rig *rig = *state;

    setenv("NOTIFY_SOCKET", "nowhere", 1);
    worker_service_take(&rig->service);
    worker_service_begin(&rig->service);
    assert_non_null(strstr(logged, "level=warn"));
    assert_non_null(strstr(logged, "NOTIFY_SOCKET=nowhere: expected a path"));
    assert_string_equal(look_as(rig, WARREN_WORKER_READY), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_life_is_told),
        TEST(a_crash_is_no_end),
        TEST(without_a_manager_nothing_is_done),
        TEST(a_reload_is_told),
        TEST(a_reload_while_it_starts_is_not_told),
        TEST(the_watchdog_is_answered_in_time),
        TEST(a_short_watchdog_is_answered_in_time),
        TEST(a_loop_that_hangs_is_not_covered_up),
        TEST(texts_from_outside_are_made_plain),
        TEST(a_manager_that_is_gone_is_warned_of_once),
        TEST(a_wrong_environment_is_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
