/* test_worker_pools.c - subscriptions whose number of threads is a range, on a real broker: it
 * grows while messages wait, shrinks when threads idle, and nothing is lost or doubled by it.
 */
#include <signal.h>

#include "support/admin.h"
#include "support/command.h"
#include "support/fixture.h"

struct pool_rig {
    char *address;
};

/* A worker with an admin listener and @top, that handles the queue by @handler as @more says. */
static void start_at(struct fixture *f, const char *uri, const char *top, const char *handler,
                     const char *more)
{
    struct pool_rig *own = f->own = calloc(1, sizeof *own);

    f->worker =
        worker_new(uri,
                   "admin: {listen: '127.0.0.1:0'}\n"
                   "consumer: {concurrency_target_wait: 50ms}\n%s\n"
                   "subscriptions:\n"
                   "  - {queue: %s, handler: %s, options: {path: record, gate: '%s'}, %s}\n",
                   top, f->queue, handler, f->gate, more);
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 1);
    own->address = admin_address(f->worker);
}

static void start(struct fixture *f, const char *more)
{
    start_at(f, f->broker->uri, "", "probe.record", more);
}

/* @return the exit status */
static int stop(struct fixture *f)
{
    struct pool_rig *own = f->own;

    free(own->address);
    return worker_stop(f->worker);
}

/* The value of that series of the subscription; -1: there is none. */
static int metric(const struct fixture *f, const char *name, const char *handler)
{
    const struct pool_rig *own = f->own;
    char *series = text("%s{queue=\"%s\",handler=\"%s\"}", name, f->queue, handler);
    int value = (int)admin_number(own->address, series);

    free(series);
    return value;
}

static int threads(const struct fixture *f)
{
    return metric(f, "warren_workers", "probe.record");
}

static int waiting(const struct fixture *f)
{
    return worker_logged(f->worker, "waits for its gate", NULL);
}

static void publish(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++)
        fixture_publish(f, NULL, "x");
}

/* Write the configuration again with @from replaced by @to, and have it read. */
static void edit(struct fixture *f, const char *from, const char *to)
{
    char *old = read_file(f->worker->config, NULL);
    char *at = strstr(old, from);
    char *now;

    assert_non_null(at);
    now = text("%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
    free(write_file(f->worker->directory, "worker.yaml", now));
    proc_signal(f->worker->proc, SIGHUP);
    free(now);
    free(old);
}

/* How many of the messages "0" to "count - 1" were handled once at least. */
static int distinct(const struct fixture *f, int count)
{
    char *all = read_file(f->record, NULL);
    bool *seen = calloc((size_t)count, sizeof *seen);
    int sum = 0;

    for (const char *at = all; at && *at; at = strchr(at, '\n') + 1)
        seen[atoi(at)] = true;
    for (int i = 0; i < count; i++)
        sum += seen[i];
    free(seen);
    free(all);
    return sum;
}

/* ---- it grows and shrinks ---- */

/* To the most while handlers take their time and messages wait, and back to the least when nothing
 * comes. What the broker may have sent is the same all the time. */
static void as_many_as_it_takes(void **state)
{
    struct fixture *f = *state;

    start(f, "prefetch: 40, concurrency: 2-8");
    assert_int_equal(threads(f), 2);
    assert_int_equal(metric(f, "warren_pool_min_threads", "probe.record"), 2);
    assert_int_equal(metric(f, "warren_pool_max_threads", "probe.record"), 8);
    publish(f, 60);
    assert_true(WAIT_FOR(waiting(f) == 8, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 40, PATIENCE_MS));
    assert_int_equal(threads(f), 8);
    assert_true(metric(f, "warren_pool_grown_total", "probe.record") >= 2);
    assert_true(metric(f, "warren_pool_wait_seconds", "probe.record") >= 0);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 60));
    assert_true(WAIT_FOR(threads(f) == 2, PATIENCE_MS));
    assert_true(metric(f, "warren_pool_shrunk_total", "probe.record") >= 2);
    publish(f, 5);
    assert_true(fixture_recorded(f, 65));
    assert_int_equal(stop(f), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* A number is no range: nothing of it is there. */
static void a_number_stays(void **state)
{
    struct fixture *f = *state;

    start(f, "prefetch: 40, concurrency: 3");
    publish(f, 20);
    assert_true(WAIT_FOR(waiting(f) == 3, PATIENCE_MS));
    assert_int_equal(threads(f), 3);
    assert_int_equal(metric(f, "warren_pool_max_threads", "probe.record"), -1);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 20));
    assert_int_equal(waiting(f), 3);
    assert_int_equal(stop(f), 0);
}

/* ---- what happens meanwhile ---- */

/* What runs is waited for, on however many threads; the rest is the queue's again. */
static void it_drains_as_it_is(void **state)
{
    struct fixture *f = *state;

    start(f, "prefetch: 20, concurrency: 1-6");
    publish(f, 20);
    assert_true(WAIT_FOR(waiting(f) == 6, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 14, PATIENCE_MS));
    fixture_open_gate(f);
    assert_int_equal(stop(f), 0);
    assert_true(fixture_recorded(f, 6));
    assert_int_equal(peer_count(f->peer, f->queue), 14);
}

/* Another range is in force at once: fewer end behind what they have, more are there. */
static void a_reload_changes_the_range(void **state)
{
    struct fixture *f = *state;

    start(f, "prefetch: 40, concurrency: 2-8");
    publish(f, 40);
    assert_true(WAIT_FOR(waiting(f) == 8, PATIENCE_MS));
    edit(f, "concurrency: 2-8", "concurrency: 2-10");
    assert_true(WAIT_FOR(waiting(f) == 10, PATIENCE_MS));
    edit(f, "concurrency: 2-10", "concurrency: 3");
    assert_true(WAIT_FOR(threads(f) == 3, PATIENCE_MS));
    worker_expect_logged(f->worker, "what=\"concurrency of", "2-10 > 3\"", 1);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 40));
    edit(f, "concurrency: 3", "concurrency: 5-6");
    assert_true(WAIT_FOR(threads(f) == 5, PATIENCE_MS));
    edit(f, "concurrency: 5-6", "concurrency: 6-5");
    worker_expect_logged(f->worker, "the configuration stays as it was",
                         "concurrency is '6-5', expected a whole number or a range", 1);
    publish(f, 10);
    assert_true(fixture_recorded(f, 50));
    assert_int_equal(stop(f), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* A channel that is lost takes the messages that wait with it; they come again, to as many. */
static void over_lost_connections(void **state)
{
    struct fixture *f = *state;
    char id[16];

    f->proxy = proxy_new(f->broker->port);
    fixture_open_gate(f);
    for (int i = 0; i < 300; i++) {
        snprintf(id, sizeof id, "%d", i);
        fixture_publish(f, id, "x");
    }
    start_at(f, proxy_uri(f->proxy), "", "probe.record", "prefetch: 20, concurrency: 1-6");
    for (size_t cuts = 1; cuts <= 3; cuts++) {
        assert_true(WAIT_FOR(count_lines(f->record) > cuts * 30, PATIENCE_MS));
        proxy_cut(f->proxy, PROXY_RST);
    }
    assert_true(WAIT_FOR(distinct(f, 300) == 300, PATIENCE_MS));
    assert_int_equal(stop(f), 0);
}

/* A handler that crashes costs its message, also where its thread was not there at the start. */
static void a_crash_costs_one(void **state)
{
    struct fixture *f = *state;

    start_at(f, f->broker->uri, "state_dir: state\ndrain: {timeout: 60s}", "weigh.work",
             "prefetch: 20, concurrency: 1-6, middleware: [recover]");
    for (int i = 0; i < 8; i++)
        fixture_publish(f, NULL, "wait");
    assert_true(WAIT_FOR(metric(f, "warren_workers", "weigh.work") == 6, PATIENCE_MS));
    fixture_publish(f, NULL, "crash");
    publish(f, 20);
    fixture_open_gate(f);
    assert_true(WAIT_FOR(worker_logged(f->worker, "handler crashed", NULL) == 1, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "message is quarantined", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 0, PATIENCE_MS));
    assert_int_equal(stop(f), 0);
}

/* ---- with others ---- */

/* Semaphores are not waited for by threads: there are as many as have weights, and one more at
 * most. */
static void beside_semaphores(void **state)
{
    struct fixture *f = *state;

    start_at(f, f->broker->uri, "semaphores: {db: 3}", "weigh.work",
             "prefetch: 40, concurrency: 1-8, uses: {db: 1}");
    for (int i = 0; i < 20; i++)
        fixture_publish(f, NULL, "wait");
    assert_true(WAIT_FOR(count_lines(f->record) == 3, PATIENCE_MS));
    assert_in_range(metric(f, "warren_workers", "weigh.work"), 3, 4);
    fixture_open_gate(f);
    assert_true(WAIT_FOR(count_lines(f->record) == 40, PATIENCE_MS));
    assert_int_equal(stop(f), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- executors ---- */

/* Two subscriptions that share four threads, one and three being their own: of the queue by @first,
 * with a gate, and of the other by @second. */
static void start_shared(struct fixture *f, const char *top, const char *first, const char *second)
{
    struct pool_rig *own = f->own = calloc(1, sizeof *own);

    peer_declare(f->peer, f->other, "quorum");
    f->worker = worker_new(
        f->broker->uri,
        "admin: {listen: '127.0.0.1:0'}\n%s\n"
        "executors: {both: {threads: 4}}\n"
        "subscriptions:\n"
        "  - {queue: %s, handler: %s, prefetch: 20, executor: both, share: 1, options: {path: "
        "record, gate: '%s'}, middleware: [recover]}\n"
        "  - {queue: %s, handler: %s, prefetch: 20, executor: both, options: {path: other}, "
        "middleware: [recover]}\n",
        top, f->queue, first, f->gate, f->other, second);
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 2);
    own->address = admin_address(f->worker);
}

static bool page_says(const struct fixture *f, const char *line)
{
    const struct pool_rig *own = f->own;
    char *body;
    bool says;

    admin_get(own->address, "/metrics", NULL, &body);
    says = strstr(body, line) != NULL;
    free(body);
    return says;
}

static size_t others(const struct fixture *f)
{
    char *path = worker_path(f->worker, "other");
    size_t count = count_lines(path);

    free(path);
    return count;
}

/* What one does not need is the other's; it is had again when a handler returns. */
static void shares_are_lent(void **state)
{
    struct fixture *f = *state;
    char *share =
        text("warren_executor_share_threads{executor=\"both\",queue=\"%s\",handler=\"probe."
             "record\"} 3\n",
             f->other);

    start_shared(f, "", "probe.record", "probe.record");
    assert_true(page_says(f, share));
    publish(f, 12);
    assert_true(WAIT_FOR(waiting(f) == 4, PATIENCE_MS));
    assert_true(page_says(f, "warren_executor_threads{executor=\"both\"} 4\n"));
    assert_true(page_says(f, "warren_executor_busy_threads{executor=\"both\"} 4\n"));
    assert_int_equal(threads(f), 4);
    peer_publish_many(f->peer, f->other, "m", 10);
    assert_true(
        WAIT_FOR(page_says(f, "warren_executor_waiting{executor=\"both\"} 18\n"), PATIENCE_MS));
    assert_int_equal(others(f), 0);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 12));
    assert_true(WAIT_FOR(others(f) == 10, PATIENCE_MS));
    assert_true(page_says(f, "warren_executor_waiting{executor=\"both\"} 0\n"));
    assert_int_equal(stop(f), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
    free(share);
}

/* A bulkhead: one that may have two threads at most, and whose handlers hang, leaves the others. */
static void a_bound_keeps_the_rest_free(void **state)
{
    struct fixture *f = *state;

    start_shared(f, "", "probe.record", "probe.record");
    edit(f, "share: 1,", "share: 1, concurrency: 2,");
    worker_expect_logged(f->worker, "what=\"concurrency of", NULL, 1);
    publish(f, 12);
    assert_true(WAIT_FOR(waiting(f) == 2, PATIENCE_MS));
    peer_publish_many(f->peer, f->other, "m", 30);
    assert_true(WAIT_FOR(others(f) == 30, PATIENCE_MS));
    assert_int_equal(waiting(f), 2);
    edit(f, "share: 1, concurrency: 2,", "share: 2, concurrency: 3,");
    worker_expect_logged(f->worker, "what has changed here needs a restart", "share of", 1);
    assert_true(WAIT_FOR(waiting(f) == 3, PATIENCE_MS));
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 12));
    assert_int_equal(stop(f), 0);
}

/* Subscriptions leave the threads to the others, and come to them. */
static void subscriptions_come_and_go(void **state)
{
    struct fixture *f = *state;
    char *third =
        text("subscriptions:\n  - {queue: %s, handler: probe.record, executor: both, options: "
             "{path: record}}\n",
             f->other);
    char *second =
        text("  - {queue: %s, handler: probe.record, prefetch: 20, executor: both, options: "
             "{path: other}, middleware: [recover]}\n",
             f->other);

    start_shared(f, "", "probe.record", "probe.record");
    publish(f, 4);
    assert_true(WAIT_FOR(waiting(f) == 4, PATIENCE_MS));
    edit(f, second, "");
    worker_expect_logged(f->worker, "(probe.record): removed", NULL, 1);
    assert_true(WAIT_FOR(peer_consumers(f->peer, f->other) == 0, PATIENCE_MS));
    peer_publish_many(f->peer, f->other, "m", 10);
    edit(f, "subscriptions:\n", third);
    worker_expect_logged(f->worker, "(probe.record): added", NULL, 1);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 14));
    assert_int_equal(stop(f), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
    free(second);
    free(third);
}

/* A handler that crashes on a thread of both costs its message, and nobody else's. */
static void a_crash_on_a_shared_thread_costs_one(void **state)
{
    struct fixture *f = *state;

    start_shared(f, "state_dir: state\ndrain: {timeout: 60s}", "weigh.work", "probe.record");
    peer_publish_many(f->peer, f->other, "m", 10);
    fixture_publish(f, NULL, "crash");
    publish(f, 10);
    peer_publish_many(f->peer, f->other, "n", 10);
    assert_true(WAIT_FOR(worker_logged(f->worker, "handler crashed", NULL) == 1, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "message is quarantined", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(others(f) == 20, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 0, PATIENCE_MS));
    assert_int_equal(stop(f), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
}

/* What runs is waited for, the rest goes back to both queues. */
static void shared_threads_drain(void **state)
{
    struct fixture *f = *state;

    start_shared(f, "", "probe.record", "probe.record");
    publish(f, 10);
    assert_true(WAIT_FOR(waiting(f) == 4, PATIENCE_MS));
    peer_publish_many(f->peer, f->other, "m", 7);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->other) == 7, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 6 && peer_count(f->peer, f->other) == 7,
                         PATIENCE_MS));
    fixture_open_gate(f);
    assert_int_equal(stop(f), 0);
    assert_true(fixture_recorded(f, 4));
    assert_int_equal(peer_count(f->peer, f->queue), 6);
}

#define TEST(name) FIXTURE_TEST(name, "quorum")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_many_as_it_takes),
        TEST(a_number_stays),
        TEST(it_drains_as_it_is),
        TEST(a_reload_changes_the_range),
        TEST(over_lost_connections),
        TEST(a_crash_costs_one),
        TEST(beside_semaphores),
        TEST(shares_are_lent),
        TEST(a_bound_keeps_the_rest_free),
        TEST(subscriptions_come_and_go),
        TEST(a_crash_on_a_shared_thread_costs_one),
        TEST(shared_threads_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
