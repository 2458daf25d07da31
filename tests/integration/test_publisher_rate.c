/* A publisher's rate on a real broker: kept by the sender's timer, felt by callers through the
 * window alone, changed while messages wait; and that of a worker, changed by SIGHUP.
 */
#include <signal.h>

#include "publisher_fixture.h"
#include "support/worker.h"

static struct warren_publisher *limited(double rate, uint32_t burst, uint32_t timeout_ms)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    options.rate = rate;
    options.burst = burst;
    options.timeout_ms = timeout_ms;
    options.when_full = WARREN_FAIL;
    return publisher_open(broker->uri, &options);
}

/* 101 messages at 200 a second take half a second, in which no caller waits. */
static void the_rate_is_kept_without_blocking(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_stats stats;
    int64_t began;

    f->publisher = limited(200, 0, 120000);
    assert_int_equal(warren_publisher_wait_connected(f->publisher, (uint32_t)PATIENCE_MS, NULL),
                     WARREN_OK);
    new_ledger(f, 101);
    began = now_ms();
    ledger_publish_many(f->ledger, f->publisher, 101);
    warren_publisher_stats(f->publisher, &stats);
    assert_true(stats.confirmed < 101);
    assert_int_equal(stats.window_full, 0);
    flush(f);
    assert_true(now_ms() - began >= 490); /* one went at once, and a timer may be made up for */
    drain_and_check(f);
    assert_int_equal(ledger_confirmed(f->ledger), 101);
}

/* The burst goes at once; the rest would take 1000 s, but a new rate lets it go now. */
static void a_new_rate_is_in_force_at_once(void **state)
{
    struct fixture *f = *state;
    struct warren_error error;

    f->publisher = limited(0.1, 50, 0);
    new_ledger(f, 150);
    ledger_publish_many(f->ledger, f->publisher, 150);
    assert_true(WAIT_FOR(ledger_confirmed(f->ledger) == 50, PATIENCE_MS));
    assert_int_equal(warren_publisher_set_rate(f->publisher, 2e6, 0, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "rate is 2e+06, must be 0 or 0.001 to 1000000");
    assert_int_equal(warren_publisher_set_rate(f->publisher, 500, 0, NULL), WARREN_OK);
    assert_true(WAIT_FOR(ledger_confirmed(f->ledger) > 60, PATIENCE_MS));
    assert_int_equal(warren_publisher_set_rate(f->publisher, 0, 0, NULL), WARREN_OK);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_confirmed(f->ledger), 150);
}

/* The window holds what leaves in half of the time that a message has: so the caller is told that
 * it is full, and nothing expires. */
static void the_window_fills_and_nothing_expires(void **state)
{
    struct fixture *f = *state;
    unsigned accepted = 0;

    f->publisher = limited(20, 0, 2000);
    new_ledger(f, 100);
    while (ledger_publish(f->ledger, f->publisher) == WARREN_OK)
        accepted++;
    assert_in_range(accepted, 20, 22);
    flush(f);
    assert_int_equal(ledger_confirmed(f->ledger), accepted);
    drain_and_check(f);
}

/* After a reconnect, too, what is sent again keeps the rate, and nothing is lost. */
static void what_is_sent_again_keeps_the_rate(void **state)
{
    struct fixture *f = *state;
    int64_t began;

    f->proxy = proxy_new(broker->port);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    assert_int_equal(warren_publisher_set_rate(f->publisher, 100, 0, NULL), WARREN_OK);
    assert_int_equal(warren_publisher_wait_connected(f->publisher, (uint32_t)PATIENCE_MS, NULL),
                     WARREN_OK);
    new_ledger(f, 100);
    began = now_ms();
    ledger_publish_many(f->ledger, f->publisher, 100);
    assert_true(WAIT_FOR(ledger_confirmed(f->ledger) >= 20, PATIENCE_MS));
    assert_int_equal(proxy_cut(f->proxy, PROXY_RST), 1);
    flush(f);
    assert_true(now_ms() - began >= 980);
    drain_and_check(f);
    assert_int_equal(ledger_confirmed(f->ledger), 100);
}

/* ---- a worker ---- */

/* What a worker's jobs publish would take 100 s; SIGHUP takes the limit away. */
static void sighup_changes_a_workers_rate(void **state)
{
    struct fixture *f = *state;
    char *input = unique_name("rate");
    struct worker *worker;
    char *yaml;
    char *path;

    peer_declare(f->peer, input, "classic");
    worker = worker_new(broker->uri,
                        "publisher: {rate: 1}\n"
                        "subscriptions:\n"
                        "  - {queue: %s, handler: probe.forward, options: {to: %s}}\n",
                        input, f->queue);
    worker_consume(worker, 1);
    peer_publish_many(f->peer, input, "m", 100);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) > 0, PATIENCE_MS));
    assert_true(peer_count(f->peer, f->queue) < 100);
    yaml = read_file(worker->config, NULL);
    memcpy(strstr(yaml, "rate: 1"), "rate: 0", strlen("rate: 0"));
    path = write_file(worker->directory, "worker.yaml", yaml);
    proc_signal(worker->proc, SIGHUP);
    assert_true(
        WAIT_FOR(worker_logged(worker, "publisher has a new rate", "rate=0") == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 100, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    assert_int_equal(worker_logged(worker, "needs a restart", NULL), 0);
    worker_free(worker);
    peer_delete(f->peer, input);
    free(path);
    free(yaml);
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_rate_is_kept_without_blocking),    TEST(a_new_rate_is_in_force_at_once),
        TEST(the_window_fills_and_nothing_expires), TEST(what_is_sent_again_keeps_the_rate),
        TEST(sighup_changes_a_workers_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
