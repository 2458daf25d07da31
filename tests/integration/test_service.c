/* test_service.c - `warren run` as a service manager sees it: sd_notify(3), with a real socket and
 * a real broker.
 */
#include <signal.h>

#include "support/fixture.h"
#include "support/manager.h"

struct rig {
    struct fixture *fixture;
    struct manager manager;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    fixture_setup(state);
    rig->fixture = *state;
    manager_open(&rig->manager, NULL);
    rig->fixture->own = rig;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = fixture->own;

    manager_close(&rig->manager);
    return fixture_teardown(state);
}

static struct rig *rig_of(void **state)
{
    return ((struct fixture *)*state)->own;
}

/* `warren run` as systemd starts it. */
static void start(struct rig *rig, const char *uri, const char *handler, const char *options,
                  const char *middleware)
{
    struct fixture *f = rig->fixture;

    f->worker = worker_new(uri,
                           "log: {level: debug}\n"
                           "drain: {timeout: 20s}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: %s\n"
                           "    options: {%s}\n"
                           "    middleware: [%s]\n",
                           f->queue, handler, options, middleware);
    setenv("NOTIFY_SOCKET", rig->manager.name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    worker_run(f->worker, NULL);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

static void expect(struct rig *rig, const char *part)
{
    if (!manager_hears(&rig->manager, part, (int)PATIENCE_MS))
        fail_msg("no \"%s\" was told, but:\n%s\nand logged:\n%s", part, rig->manager.all,
                 proc_stderr(rig->fixture->worker->proc));
    assert_int_equal(rig->manager.sender, proc_pid(rig->fixture->worker->proc));
}

/* When `systemctl start` returns the broker has a consumer. */
static void ready_is_told_when_it_consumes(void **state)
{
    struct rig *rig = rig_of(state);

    start(rig, rig->fixture->broker->uri, "probe.record", "path: record", "");
    expect(rig, "READY=1\n");
    assert_has(rig->manager.last, "STATUS=ready, with 1 subscription\n");
    assert_int_equal(peer_consumers(rig->fixture->peer, rig->fixture->queue), 1);
    expect(rig, "WATCHDOG=1\n");
    expect(rig, "WATCHDOG=1\n");
    assert_int_equal(worker_stop(rig->fixture->worker), 0);
    expect(rig, "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\n");
    assert_has(rig->manager.last, "STATUS=draining: ends within 20 s\n");
}

/* A worker that reaches no broker has not started; it says why, and lives. */
static void a_broker_that_is_away_is_waited_for(void **state)
{
    struct rig *rig = rig_of(state);
    struct fixture *f = rig->fixture;

    f->proxy = proxy_new(f->broker->port);
    proxy_refuse(f->proxy, true);
    start(rig, proxy_uri(f->proxy), "probe.record", "path: record", "");
    expect(rig, "no connection: there is no connection to amqp://127.0.0.1");
    assert_has(rig->manager.last, "STATUS=not ready: queue ");
    expect(rig, "WATCHDOG=1\n");
    assert_null(strstr(rig->manager.all, "READY=1\n"));
    proxy_refuse(f->proxy, false);
    expect(rig, "READY=1\n");
    proxy_refuse(f->proxy, true);
    proxy_cut(f->proxy, PROXY_RST);
    expect(rig, "STATUS=not ready: queue ");
    proxy_refuse(f->proxy, false);
    expect(rig, "STATUS=ready, with 1 subscription\n");
    assert_null(strstr(rig->manager.last, "READY=1\n")); /* once */
    assert_int_equal(worker_stop(f->worker), 0);
}

/* As Type=notify-reload wants it, with the time at which it began. */
static void a_reload_begins_and_ends(void **state)
{
    struct rig *rig = rig_of(state);
    struct timespec now;
    int64_t begun_us;

    start(rig, rig->fixture->broker->uri, "probe.record", "path: record", "");
    expect(rig, "READY=1\n");
    clock_gettime(CLOCK_MONOTONIC, &now);
    proc_signal(rig->fixture->worker->proc, SIGHUP);
    expect(rig, "RELOADING=1\nMONOTONIC_USEC=");
    begun_us = strtoll(strstr(rig->manager.last, "USEC=") + 5, NULL, 10);
    assert_true(begun_us >= (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    expect(rig, "READY=1\n");
    worker_expect_logged(rig->fixture->worker, "read again", NULL, 1);
    /* A file that is refused: the reload is over, too. */
    free(write_file(rig->fixture->worker->directory, "worker.yaml", "nonsense: 1\n"));
    proc_signal(rig->fixture->worker->proc, SIGHUP);
    expect(rig, "RELOADING=1\n");
    expect(rig, "READY=1\n");
    assert_int_equal(worker_stop(rig->fixture->worker), 0);
}

/* The process executes itself, and is the same service all along: it neither stops nor is silent.
 */
static void a_crash_is_no_stop(void **state)
{
    struct rig *rig = rig_of(state);
    struct fixture *f = rig->fixture;

    start(rig, f->broker->uri, "crashing.run", "path: record, gate: gate", "recover");
    expect(rig, "READY=1\n");
    fixture_publish(f, "m-1", "segv");
    expect(rig, "STATUS=draining after a crash: begins anew\n");
    expect(rig, "READY=1\n"); /* of the next process */
    expect(rig, "WATCHDOG=1\n");
    assert_null(strstr(rig->manager.all, "STOPPING=1\n"));
    assert_int_equal(worker_stop(f->worker), 0);
    expect(rig, "STOPPING=1\n");
}

/* Neither what a handler starts nor what a plugin starts in `open` is the service. */
static void children_do_not_speak_for_it(void **state)
{
    struct rig *rig = rig_of(state);
    struct fixture *f = rig->fixture;
    char *early = text("%s/early", f->directory);
    char *late = text("%s/late", f->directory);
    char *options = text("path: children.out, at_open: 'env > %s'", early);
    char *command = text("env > %s", late);
    char *all;

    start(rig, f->broker->uri, "children.shell", options, "");
    expect(rig, "READY=1\n");
    fixture_publish(f, NULL, command);
    f->record = worker_path(f->worker, "children.out");
    assert_true(fixture_recorded(f, 1));
    assert_int_equal(worker_stop(f->worker), 0);
    for (int i = 0; i < 2; i++) {
        all = read_file(i ? late : early, NULL);
        assert_has(all, "PATH=");
        assert_null(strstr(all, "NOTIFY_SOCKET"));
        assert_null(strstr(all, "WATCHDOG_"));
        free(all);
    }
    free(early);
    free(late);
    free(options);
    free(command);
}

/* What is wrong with the file stands in `systemctl status`, too. */
static void a_start_that_fails_says_why(void **state)
{
    struct rig *rig = rig_of(state);

    start(rig, rig->fixture->broker->uri, "no.handler", "", "");
    assert_int_equal(proc_wait(rig->fixture->worker->proc, PATIENCE_MS), 2);
    expect(rig, "STATUS=");
    assert_has(rig->manager.last, "worker.yaml");
    assert_has(rig->manager.last, "no.handler");
    assert_null(strstr(rig->manager.all, "READY=1\n"));
}

/* One warning, and the worker does its work. */
static void a_forged_socket_is_no_failure(void **state)
{
    struct rig *rig = rig_of(state);

    memcpy(rig->manager.name, "relative", sizeof "relative");
    start(rig, rig->fixture->broker->uri, "probe.record", "path: record", "");
    worker_expect_logged(rig->fixture->worker, "consuming queue=", NULL, 1);
    worker_expect_logged(rig->fixture->worker, "NOTIFY_SOCKET=relative: expected a path", NULL, 1);
    assert_int_equal(worker_stop(rig->fixture->worker), 0);
}

int main(void)
{
#define TEST(name, type)                                                                           \
    cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, (void *)(uintptr_t)(type))
    const struct CMUnitTest tests[] = {
        TEST(ready_is_told_when_it_consumes, "classic"),
        TEST(a_broker_that_is_away_is_waited_for, "classic"),
        TEST(a_reload_begins_and_ends, "classic"),
        TEST(a_crash_is_no_stop, "quorum"),
        TEST(children_do_not_speak_for_it, "classic"),
        TEST(a_start_that_fails_says_why, "classic"),
        TEST(a_forged_socket_is_no_failure, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
