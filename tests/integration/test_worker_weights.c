/* test_worker_weights.c - semaphores on a real broker: `uses:` of subscriptions and
 * warren_job_acquire() in handlers never have more than there is, and what they have is given back
 * on every way out.
 */
#include <signal.h>

#include "support/admin.h"
#include "support/fixture.h"

/* What the handlers wrote: the most that they had at once, and what is still held. */
struct seen {
    int most;
    int now;
    int ended; /* handlers */
};

static struct seen look(const struct fixture *f)
{
    char *all = read_file(f->record, NULL);
    struct seen seen = {0, 0, 0};

    for (const char *at = all; at && *at; at = strchr(at, '\n') + 1) {
        seen.now += *at == '+' ? atoi(at + 1) : -atoi(at + 1);
        seen.ended += *at == '-';
        if (seen.now > seen.most)
            seen.most = seen.now;
    }
    free(all);
    return seen;
}

static void publish_to(struct fixture *f, const char *queue, const char *body, int count)
{
    char *own = f->queue;

    f->queue = (char *)(uintptr_t)queue;
    for (int i = 0; i < count; i++)
        fixture_publish(f, NULL, body);
    f->queue = own;
}

/* A worker of two subscriptions: @first uses, and @second of the second queue. */
static void make_worker_at(struct fixture *f, const char *uri, const char *size, const char *top,
                           const char *first, const char *second)
{
    f->worker =
        worker_new(uri,
                   "%s\n"
                   "semaphores: {db: %s}\n"
                   "subscriptions:\n"
                   "  - {queue: %s, handler: weigh.work, prefetch: 40, concurrency: 6, %s}\n"
                   "  - {queue: %s, handler: weigh.work, prefetch: 40, concurrency: 6, %s}\n",
                   top, size, f->queue, first, f->other, second);
    f->record = worker_path(f->worker, "record");
}

static void make_worker(struct fixture *f, const char *size, const char *top, const char *first,
                        const char *second)
{
    make_worker_at(f, f->broker->uri, size, top, first, second);
}

/* ---- never more than there is ---- */

static void never_more_than_the_size(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "5", "",
                "uses: {db: 3}, options: {path: record, weight: 3}, middleware: [recover]",
                "options: {path: record, weight: 2, acquire: db}, middleware: [recover]");
    publish_to(f, f->queue, "x", 60);
    publish_to(f, f->other, "x", 60);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(look(f).ended == 120, PATIENCE_MS));
    seen = look(f);
    assert_int_equal(seen.now, 0);
    assert_in_range(seen.most, 3, 5);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
}

/* One that takes the whole comes to its turn among many that take little. */
static void the_heavy_come_to_their_turn(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "4", "",
                "uses: {db: 1}, options: {path: record, weight: 1}, middleware: [recover]",
                "uses: {db: 4}, options: {path: record, weight: 4}, middleware: [recover]");
    publish_to(f, f->queue, "x", 400);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(look(f).ended > 20, PATIENCE_MS));
    publish_to(f, f->other, "x", 1);
    assert_true(WAIT_FOR(look(f).ended == 401, PATIENCE_MS));
    assert_int_equal(look(f).most, 4);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* Of each key the first one alone stands in the line for weights. */
static void in_order_too(void **state)
{
    struct fixture *f = *state;
    char id[8];

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "5", "",
                "uses: {db: 2}, order: {by: message_id}, options: {path: record, weight: 2}, "
                "middleware: [recover]",
                "uses: {db: 3}, options: {path: record, weight: 3}, middleware: [recover]");
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "k%d", i % 4);
        fixture_publish(f, id, "x");
    }
    publish_to(f, f->other, "x", 30);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(look(f).ended == 90, PATIENCE_MS));
    assert_in_range(look(f).most, 3, 5);
    assert_int_equal(look(f).now, 0);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- ways out ---- */

/* The handler that crashed has all of it, and others of the same process wait for it. */
static void after_a_crash_the_weight_is_back(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "3", "drain: {timeout: 60s}\nstate_dir: state",
                "options: {path: record, weight: 1, acquire: db}, middleware: [recover]",
                "uses: {db: 3}, options: {path: record, weight: 3}, middleware: [recover]");
    publish_to(f, f->other, "crash", 1);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(look(f).now == 3, PATIENCE_MS));
    publish_to(f, f->queue, "x", 20);
    /* Six of them are in the line when it crashes: they end before the process does. */
    assert_true(WAIT_FOR(worker_logged(f->worker, "handler crashed", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(look(f).ended >= 6, PATIENCE_MS / 2));
    assert_true(WAIT_FOR(look(f).ended == 20, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "message is quarantined", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) >= 4, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

static void after_a_panic_the_weight_is_back(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "3", "",
                "uses: {db: 2}, options: {path: record, weight: 2}, middleware: [{retry: "
                "{max_attempts: 2, policy: immediate}}, recover]",
                "options: {path: record, weight: 3, acquire: db}, middleware: [{retry: "
                "{max_attempts: 2, policy: immediate}}, recover]");
    publish_to(f, f->queue, "panic", 5);
    publish_to(f, f->other, "panic", 5);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 5, PATIENCE_MS));
    publish_to(f, f->queue, "x", 5);
    publish_to(f, f->other, "x", 5);
    assert_true(WAIT_FOR(look(f).ended == 10, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
}

/* Those that wait are the broker's again, and come again; nothing stays held. */
static void after_lost_connections_the_weight_is_back(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "quorum");
    f->proxy = proxy_new(f->broker->port);
    make_worker_at(f, proxy_uri(f->proxy), "3", "",
                   "uses: {db: 2}, options: {path: record, weight: 2, work: 20ms}, middleware: "
                   "[recover]",
                   "uses: {db: 1}, options: {path: record, work: 20ms}, middleware: [recover]");
    publish_to(f, f->queue, "x", 40);
    publish_to(f, f->other, "x", 40);
    worker_consume(f->worker, 2);
    for (int cuts = 1; cuts <= 3; cuts++) {
        assert_true(WAIT_FOR(look(f).ended >= cuts * 10, PATIENCE_MS));
        proxy_cut(f->proxy, PROXY_RST);
    }
    assert_true(WAIT_FOR(look(f).ended >= 80 && look(f).now == 0 &&
                             broker_messages(f->broker, f->queue) == 0 &&
                             broker_messages(f->broker, f->other) == 0,
                         PATIENCE_MS));
    assert_in_range(look(f).most, 2, 3);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* What waits without a thread goes back at once, what runs is waited for. */
static void a_drain_hands_back_what_waits(void **state)
{
    struct fixture *f = *state;
    char *first =
        text("uses: {db: 1}, options: {path: record, gate: '%s'}, middleware: [recover]", f->gate);

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "1", "drain: {timeout: 30s}", first,
                "uses: {db: 1}, options: {path: record}, middleware: [recover]");
    publish_to(f, f->queue, "wait", 1);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(look(f).now == 1, PATIENCE_MS));
    publish_to(f, f->other, "x", 30);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->other) == 30, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 30, PATIENCE_MS));
    assert_int_equal(look(f).now, 1);
    fixture_open_gate(f);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->other), 30);
    assert_int_equal(look(f).ended, 1);
    free(first);
}

/* ---- reload ---- */

/* Write the configuration again with @from replaced by @to. */
static void edit(struct fixture *f, const char *from, const char *to)
{
    char *old = read_file(f->worker->config, NULL);
    char *at = strstr(old, from);
    char *now;

    assert_non_null(at);
    now = text("%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
    free(write_file(f->worker->directory, "worker.yaml", now));
    free(now);
    free(old);
}

static bool page_says(const char *address, const char *line)
{
    char *body;
    bool is;

    admin_get(address, "/metrics", NULL, &body);
    is = strstr(body, line) != NULL;
    free(body);
    return is;
}

/* A larger size lets go what waits; a file in which it does not suffice changes nothing. */
static void the_size_changes_in_place(void **state)
{
    struct fixture *f = *state;
    char *first = text("uses: {db: 2}, options: {path: record, weight: 2, gate: '%s'}, middleware: "
                       "[recover]",
                       f->gate);
    char *address;

    peer_declare(f->peer, f->other, "quorum");
    make_worker(f, "2", "admin: {listen: '127.0.0.1:0'}", first,
                "options: {path: record, acquire: db}, middleware: [recover]");
    publish_to(f, f->queue, "wait", 4);
    worker_consume(f->worker, 2);
    address = admin_address(f->worker);
    assert_true(WAIT_FOR(look(f).now == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(page_says(address, "warren_semaphore_waiting{semaphore=\"db\"} 3\n"),
                         PATIENCE_MS));
    assert_true(page_says(address, "warren_semaphore_size{semaphore=\"db\"} 2\n"));
    assert_true(page_says(address, "warren_semaphore_in_use{semaphore=\"db\"} 2\n"));
    edit(f, "semaphores: {db: 2}", "semaphores: {db: 6}");
    proc_signal(f->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(look(f).now == 6, PATIENCE_MS));
    edit(f, "semaphores: {db: 6}", "semaphores: {db: 1}");
    proc_signal(f->worker->proc, SIGHUP);
    worker_expect_logged(f->worker, "the configuration stays as it was",
                         "uses.db is 2, more than there is", 1);
    edit(f, "semaphores: {db: 1}", "semaphores: {db: 3, files: 2}");
    proc_signal(f->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(page_says(address, "warren_semaphore_size{semaphore=\"files\"} 2\n"),
                         PATIENCE_MS));
    assert_true(page_says(address, "warren_semaphore_in_use{semaphore=\"db\"} 6\n"));
    fixture_open_gate(f);
    assert_true(WAIT_FOR(look(f).ended == 4, PATIENCE_MS));
    edit(f, "uses: {db: 2}", "uses: {db: 1, files: 2}");
    proc_signal(f->worker->proc, SIGHUP);
    worker_expect_logged(f->worker, "what=\"uses of", NULL, 1);
    publish_to(f, f->queue, "x", 10);
    assert_true(WAIT_FOR(look(f).ended == 14, PATIENCE_MS));
    assert_true(
        WAIT_FOR(page_says(address, "warren_semaphore_in_use{semaphore=\"db\"} 0\n"), PATIENCE_MS));
    assert_true(page_says(address, "warren_semaphore_in_use{semaphore=\"files\"} 0\n"));
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
    free(first);
}

#define TEST(name) FIXTURE_TEST(name, "quorum")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(never_more_than_the_size),
        TEST(the_heavy_come_to_their_turn),
        TEST(in_order_too),
        TEST(after_a_crash_the_weight_is_back),
        TEST(after_a_panic_the_weight_is_back),
        TEST(after_lost_connections_the_weight_is_back),
        TEST(a_drain_hands_back_what_waits),
        TEST(the_size_changes_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
