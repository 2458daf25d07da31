/* test_fair.c - `fair:` on a real broker: each key has no more than it may, keys take turns, and
 * one that has too many leaves the others their places, whatever fails, is lost or drains.
 *
 * What the handler writes down (tests/plugins/ordered.c) is played again.
 */
#include "support/keyed.h"

#define KEYS_MAX 64
#define HEADER   "tenant"

/* ---- what was handled ---- */

struct played {
    unsigned at_work[KEYS_MAX];
    unsigned most[KEYS_MAX]; /* at once */
    unsigned begun[KEYS_MAX];
    unsigned done[KEYS_MAX];
    unsigned all_begun;
    unsigned all_done;
    unsigned hot_before; /* of key 0 that had begun when the last of the others was done */
    unsigned retried;    /* that began as an attempt above the first */
};

static void play_line(void *user, const struct keyed_line *line)
{
    struct played *played = user;
    unsigned key = line->key;

    if (line->begins) {
        played->at_work[key]++;
        played->begun[key]++;
        played->all_begun++;
        played->retried += line->attempt > 1;
        if (played->at_work[key] > played->most[key])
            played->most[key] = played->at_work[key];
        return;
    }
    assert_true(played->at_work[key] > 0);
    played->at_work[key]--;
    if (!keyed_is_acked(line))
        return;
    played->done[key]++;
    played->all_done++;
    if (key != 0)
        played->hot_before = played->begun[0];
}

static struct played play(const struct fixture *f)
{
    struct played played = {.all_done = 0};

    keyed_play(f, KEYS_MAX, play_line, &played);
    return played;
}

static struct played expect_done(struct fixture *f, unsigned count)
{
    struct played played;

    if (!WAIT_FOR(play(f).all_done >= count, PATIENCE_MS))
        fail_msg("%u of %u are done: %s", play(f).all_done, count, proc_stderr(f->worker->proc));
    played = play(f);
    for (unsigned key = 0; key < KEYS_MAX; key++)
        assert_int_equal(played.at_work[key], 0);
    return played;
}

static void start_with(struct fixture *f, const char *uri, unsigned threads, const char *more,
                       const char *options)
{
    f->worker = worker_new(uri,
                           "admin: {listen: '127.0.0.1:0'}\n"
                           "middleware: {retry: {policy: constant, initial_delay: 5ms}}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: ordered.run\n"
                           "    concurrency: %u\n"
                           "    prefetch: 100\n"
                           "    %s\n"
                           "    options: {path: '%s'%s}\n",
                           f->queue, threads, more, f->record, options);
    worker_consume(f->worker, 1);
}

static void start(struct fixture *f, const char *uri, const char *more, const char *options)
{
    start_with(f, uri, 8, more, options);
}

/* Messages wait while the gate is closed; @which: of one key. */
static void start_gated(struct fixture *f, const char *more, const char *which)
{
    char *options = text(", gate: '%s'%s", f->gate, which);

    start(f, f->broker->uri, more, options);
    free(options);
}

static void expect_number(const struct fixture *f, const char *family, double least, double most)
{
    keyed_expect(f, f->queue, family, "", least, most);
}

/* ---- places ---- */

/* Two of a key at once, others beside them, with failures and a lost connection: what still runs
 * has its place when its message comes again. */
static void a_key_has_no_more_than_its_places(void **state)
{
    struct fixture *f = *state;
    struct played played;
    unsigned most = 0;

    peer_declare(f->peer, f->queue, "quorum");
    f->proxy = proxy_new(f->broker->port);
    keyed_publish_all(f, HEADER, 20, 20);
    start(f, proxy_uri(f->proxy), "fair: {by: header:tenant, concurrency: 2}",
          ", delay: 4ms, fail_each: 5, fails: 1");
    assert_true(WAIT_FOR(play(f).all_done > 100, PATIENCE_MS));
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(play(f).all_done >= 400 && broker_messages(f->broker, f->queue) == 0,
                         PATIENCE_MS));
    played = play(f);
    for (unsigned key = 0; key < 20; key++) {
        assert_in_range(played.most[key], 1, 2);
        most = played.most[key] > most ? played.most[key] : most;
    }
    assert_int_equal(most, 2);
    fixture_stop_and_expect(f, 0, 0);
}

/* With an order within each key, too, gates, and failures that leave their lines. */
static void with_an_order_and_every_middleware(void **state)
{
    struct fixture *f = *state;
    struct played played;

    keyed_publish_all(f, HEADER, 20, 10);
    start(f, f->broker->uri,
          "fair: {by: header:tenant, concurrency: 1, rate: 1000}\n"
          "    order: {by: message_id, on_failure: skip}\n"
          "    middleware: [log, trace, retry: {policy: constant, initial_delay: 5ms}, "
          "rate_limit: {rate: 2000, burst: 10}, deadline: {limit: 10s}, recover]",
          ", delay: 2ms, fail_each: 4, fails: 1");
    played = expect_done(f, 200);
    for (unsigned key = 0; key < 20; key++)
        assert_int_equal(played.most[key], 1);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- turns ---- */

/* Five hundred of one key came first, and then five of each of ten others; one thread, for of
 * several one may be held up over the last of the others. */
static void the_others_need_not_wait_for_a_hot_key(void **state)
{
    struct fixture *f = *state;
    struct keyed p;
    struct played played;
    char *options;

    keyed_begin(&p, f, HEADER);
    for (unsigned i = 0; i < 500; i++)
        keyed_publish(&p, 0, i, NULL);
    for (unsigned i = 0; i < 50; i++)
        keyed_publish(&p, 1 + i % 10, i / 10, NULL);
    keyed_end(&p);
    options = text(", gate: '%s'", f->gate);
    start_with(f, f->broker->uri, 1, "fair: {by: header:tenant}", options);
    free(options);
    expect_number(f, "warren_fair_waiting", 550 - 2, 550 - 2); /* two for each worker went on */
    fixture_open_gate(f);
    played = expect_done(f, 550);
    assert_in_range(played.hot_before, 1, 2 + 5 + 1);
    expect_number(f, "warren_fair_waiting", 0, 0);
    fixture_stop_and_expect(f, 0, 0);
}

/* Where the number of threads is a range, what waits for its turn waits for a thread, too: there
 * are more of them, and those let go more. */
static void turns_make_threads(void **state)
{
    struct fixture *f = *state;

    keyed_publish_all(f, HEADER, 8, 1);
    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: ordered.run\n"
                           "    concurrency: 1-8\n"
                           "    concurrency_target_wait: 20ms\n"
                           "    fair: {by: header:tenant, concurrency: 1}\n"
                           "    options: {path: '%s', gate: '%s'}\n",
                           f->queue, f->record, f->gate);
    worker_consume(f->worker, 1);
    assert_true(fixture_recorded(f, 8));
    fixture_open_gate(f);
    expect_done(f, 8);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- rates ---- */

/* Three of a key in an hour; the rest waits, and goes back at the end. */
static void a_key_keeps_its_rate(void **state)
{
    struct fixture *f = *state;
    struct played played;

    keyed_publish_all(f, HEADER, 10, 8);
    start(f, f->broker->uri, "fair: {by: header:tenant, rate: 3, per: 1h}", "");
    played = expect_done(f, 30);
    for (unsigned key = 0; key < 10; key++)
        assert_int_equal(played.done[key], 3);
    expect_number(f, "warren_fair_waiting", 50, 50);
    expect_number(f, "warren_fair_keys", 10, 10);
    fixture_stop_and_expect(f, 50, 0);
    assert_int_equal(play(f).all_begun, 30);
}

/* ---- more than may wait ---- */

/* A key that stands still has ten times as many as may wait: the others have their places all the
 * same. Then all of it is handled, once, and as a first attempt. */
static void what_is_too_much_goes_away_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct keyed p;
    struct played played;

    keyed_begin(&p, f, HEADER);
    for (unsigned i = 0; i < 300; i++)
        keyed_publish(&p, 0, i, NULL);
    for (unsigned i = 0; i < 50; i++)
        keyed_publish(&p, 1 + i % 10, i / 10, NULL);
    keyed_end(&p);
    start_gated(f, "fair: {by: header:tenant, concurrency: 2, held: 30}", ", gate_key: k0");
    assert_true(WAIT_FOR(play(f).all_done == 50, PATIENCE_MS));
    assert_int_equal(play(f).begun[0], 2);
    expect_number(f, "warren_fair_away_total", 200, 10000);
    expect_number(f, "warren_fair_waiting", 0, 30);
    expect_number(f, "warren_fair_away_failed_total", 0, 0);
    fixture_open_gate(f);
    played = expect_done(f, 350);
    assert_int_equal(played.done[0], 300);
    assert_int_equal(played.all_begun, 350);
    assert_int_equal(played.retried, 0);
    assert_int_equal(played.most[0], 2);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- keys that are none ---- */

static void without_a_key_a_message_is_rejected(void **state)
{
    struct fixture *f = *state;

    keyed_publish_odd(f, HEADER);
    start(f, f->broker->uri, "fair: {by: header:tenant, missing: reject}", "");
    expect_done(f, KEYED_ODD_WITH);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == KEYED_ODD_WITHOUT, PATIENCE_MS));
    worker_expect_logged(f->worker, "message is rejected without being handled",
                         "no header 'tenant' that is a text or a whole number to be fair by",
                         KEYED_ODD_WITHOUT);
    fixture_stop_and_expect(f, 0, KEYED_ODD_WITHOUT);
}

/* With a gate before it, how many are at work at once. */
static void count_at_work(struct fixture *f, const char *fair, unsigned expected)
{
    keyed_publish_odd(f, HEADER);
    start_gated(f, fair, "");
    assert_true(fixture_recorded(f, expected));
    expect_number(f, "warren_fair_waiting", KEYED_ODD_WITHOUT + KEYED_ODD_WITH - expected,
                  KEYED_ODD_WITHOUT + KEYED_ODD_WITH - expected);
    assert_int_equal(play(f).all_begun, expected);
    fixture_open_gate(f);
    expect_done(f, KEYED_ODD_WITHOUT + KEYED_ODD_WITH);
    worker_expect_logged(f->worker, "message without a key to be fair by", f->queue, 1);
    expect_number(f, "warren_fair_missing_total", KEYED_ODD_WITHOUT, KEYED_ODD_WITHOUT);
    fixture_stop_and_expect(f, 0, 0);
}

static void without_a_key_messages_are_as_one(void **state)
{
    count_at_work(*state, "fair: {by: header:tenant, concurrency: 1}", KEYED_ODD_WITH + 1);
}

static void without_a_key_a_message_may_be_free(void **state)
{
    count_at_work(*state, "fair: {by: header:tenant, concurrency: 1, missing: free}",
                  KEYED_ODD_WITH + KEYED_ODD_WITHOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYED_TEST(a_key_has_no_more_than_its_places, NULL),
        KEYED_TEST(with_an_order_and_every_middleware, "classic"),
        KEYED_TEST(the_others_need_not_wait_for_a_hot_key, "classic"),
        KEYED_TEST(turns_make_threads, "classic"),
        KEYED_TEST(a_key_keeps_its_rate, "classic"),
        KEYED_TEST(what_is_too_much_goes_away_and_comes_back, "classic"),
        KEYED_TEST(without_a_key_a_message_is_rejected, "classic"),
        KEYED_TEST(without_a_key_messages_are_as_one, "classic"),
        KEYED_TEST(without_a_key_a_message_may_be_free, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
