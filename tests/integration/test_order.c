/* test_order.c - `order:` on a real broker: messages of one key are handled one after the other, in
 * the queue's order, whatever fails, is lost, drains or is killed; others at the same time.
 *
 * What the handler writes down (tests/plugins/ordered.c) is played again: a message of a key may
 * begin only when no other one of it is being handled, and all before it are done.
 */
#include <signal.h>

#include "support/keyed.h"

#define KEYS_MAX 1000
#define HEADER   "customer"

/* ---- what was handled ---- */

struct key_played {
    int at_work;   /* the process that has one of it; 0: none */
    unsigned done; /* all below this */
};

struct played {
    struct key_played keys[KEYS_MAX];
    unsigned done;
    unsigned begun; /* messages, each time */
    unsigned at_work;
    unsigned most; /* at once */
    unsigned failed;
};

static void play_begin(struct played *played, const struct keyed_line *line)
{
    struct key_played *k = &played->keys[line->key];

    if (k->at_work == line->pid)
        fail_msg("k%u %u begins while another one of its key is at work", line->key, line->number);
    if (line->number > k->done)
        fail_msg("k%u %u begins, and those from %u on are not done", line->key, line->number,
                 k->done);
    if (k->at_work == 0)
        played->at_work++; /* else that process was killed */
    k->at_work = line->pid;
    played->begun++;
    if (played->at_work > played->most)
        played->most = played->at_work;
}

static void play_line(void *user, const struct keyed_line *line)
{
    struct played *played = user;
    struct key_played *k = &played->keys[line->key];

    if (line->begins) {
        play_begin(played, line);
        return;
    }
    assert_int_equal(k->at_work, line->pid);
    k->at_work = 0;
    played->at_work--;
    if (strcmp(line->what, "retry") == 0) {
        played->failed++;
    } else if (line->number == k->done) {
        k->done++;
        played->done++;
    }
}

static struct played play(const struct fixture *f)
{
    struct played played = {.done = 0};

    keyed_play(f, KEYS_MAX, play_line, &played);
    return played;
}

static unsigned done(const struct fixture *f)
{
    return play(f).done;
}

static void expect_done(struct fixture *f, unsigned count)
{
    if (!WAIT_FOR(done(f) >= count, PATIENCE_MS))
        fail_msg("%u of %u are done: %s", done(f), count, proc_stderr(f->worker->proc));
}

/* Until a hundred more are done than when this was asked last, or all of them, where the worker is
 * faster than who looks. */
static void expect_more_done(struct fixture *f, unsigned *before, unsigned all)
{
    expect_done(f, *before + 100 < all ? *before + 100 : all);
    *before = done(f);
}

/* What was handled, and whose ack was lost, comes once more. */
static void stop_when_empty(struct fixture *f)
{
    assert_true(WAIT_FOR(broker_messages(f->broker, f->queue) == 0, PATIENCE_MS));
    fixture_stop_and_expect(f, 0, 0);
}

static void start(struct fixture *f, struct worker **worker, const char *uri, const char *order,
                  const char *options, const char *more)
{
    *worker = worker_new(uri,
                         "state_dir: state\n"
                         "middleware: {retry: {policy: constant, initial_delay: 5ms}}\n"
                         "subscriptions:\n"
                         "  - queue: %s\n"
                         "    handler: ordered.run\n"
                         "    concurrency: 16\n"
                         "    prefetch: 100\n"
                         "    order: {%s}\n"
                         "    options: {path: '%s'%s}\n"
                         "%s",
                         f->queue, order, f->record, options, more);
    worker_consume(*worker, 1);
}

/* Messages wait while the gate is closed. */
static void start_gated(struct fixture *f, const char *order, const char *which, const char *more)
{
    char *options = text(", gate: '%s'%s", f->gate, which);

    start(f, &f->worker, f->broker->uri, order, options, more);
    free(options);
}

/* ---- order ---- */

/* A thousand keys, of which some messages fail: each is in order, many are at work at once. */
static void a_thousand_keys_are_in_order(void **state)
{
    struct fixture *f = *state;
    struct played played;

    keyed_publish_all(f, HEADER, KEYS_MAX, 5);
    start(f, &f->worker, f->broker->uri, "by: header:customer",
          ", delay: 2ms, fail_each: 3, fails: 1", "");
    expect_done(f, 5 * KEYS_MAX);
    played = play(f);
    assert_int_equal(played.failed, 2 * KEYS_MAX);
    assert_int_equal(played.begun, 7 * KEYS_MAX);
    assert_true(played.most > 4);
    assert_true(played.most <= 16);
    fixture_stop_and_expect(f, 0, 0);
}

/* By the handler's own function; messages that are rejected in the end let the others go on. */
static void the_handler_says_the_key(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "quorum");
    keyed_publish_all(f, HEADER, 50, 10);
    start(f, &f->worker, f->broker->uri, "by: handler",
          ", delay: 2ms, fail_each: 4, fails: 2, reject: true",
          "    middleware: [log, retry: {policy: constant, initial_delay: 5ms}, recover]\n");
    expect_done(f, 500);
    assert_int_equal(play(f).failed, 2 * 3 * 50);
    fixture_stop_and_expect(f, 0, 3 * 50);
}

/* The connection is cut, again and again, while handlers run and messages fail: what comes again
 * waits for what still runs, and each key is in order. */
static void a_lost_connection_keeps_the_order(void **state)
{
    struct fixture *f = *state;
    unsigned before = 0;

    peer_declare(f->peer, f->queue, "quorum");
    f->proxy = proxy_new(f->broker->port);
    keyed_publish_all(f, HEADER, 40, 25);
    start(f, &f->worker, proxy_uri(f->proxy), "by: header:customer",
          ", delay: 8ms, fail_each: 5, fails: 1", "");
    for (int i = 0; i < 6; i++) {
        expect_more_done(f, &before, 1000);
        proxy_cut(f->proxy, PROXY_RST);
    }
    expect_done(f, 1000);
    assert_true(play(f).most > 4);
    stop_when_empty(f);
}

/* With all middlewares around the handler, gates and stages among them, and a lost connection. */
static void every_middleware_keeps_the_order(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "quorum");
    f->proxy = proxy_new(f->broker->port);
    keyed_publish_all(f, HEADER, 40, 10);
    start(f, &f->worker, proxy_uri(f->proxy), "by: header:customer",
          ", delay: 4ms, fail_each: 4, fails: 1",
          "    middleware: [log, trace, retry: {policy: constant, initial_delay: 5ms}, breaker: "
          "{open_time: 20ms, open_growth: 1}, rate_limit: {rate: 1000, burst: 10}, idempotency, "
          "deadline: "
          "{limit: 10s}, recover]\n"
          "store: {path: store.db}\n");
    expect_done(f, 150);
    proxy_cut(f->proxy, PROXY_RST);
    expect_done(f, 400);
    stop_when_empty(f);
}

static void declare_single(struct fixture *f, const char *type)
{
    amqp_table_entry_t single = {.key = amqp_cstring_bytes("x-single-active-consumer"),
                                 .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};

    peer_declare_with(f->peer, f->queue, type, &single, 1);
}

/* Two workers on a queue with a single active consumer: the first one drains while messages fail
 * and handlers run, the second one goes on where it has ended. */
static void hand_over(struct fixture *f, const char *type)
{
    static const char *const options = ", delay: 20ms, fail_each: 5, fails: 1";
    static const char *const order = "by: header:customer, held: 20"; /* others are in the queue */

    declare_single(f, type);
    keyed_publish_all(f, HEADER, 40, 15);
    start(f, &f->worker, f->broker->uri, order, options, "");
    start(f, &f->second, f->broker->uri, order, options, "");
    expect_done(f, 150);
    assert_int_equal(worker_stop(f->worker), 0);
    worker_consume(f->worker, 1);
    expect_done(f, 350);
    assert_int_equal(worker_stop(f->second), 0);
    expect_done(f, 600);
    stop_when_empty(f);
}

static void a_drain_hands_a_quorum_queue_over_in_order(void **state)
{
    hand_over(*state, "quorum");
}

static void a_drain_hands_a_classic_queue_over_in_order(void **state)
{
    hand_over(*state, "classic");
}

/* A worker that is killed leaves all to the next one, from the beginning of what it had. */
static void a_crash_keeps_the_order(void **state)
{
    struct fixture *f = *state;
    unsigned before = 0;

    peer_declare(f->peer, f->queue, "quorum");
    keyed_publish_all(f, HEADER, 40, 15);
    start(f, &f->worker, f->broker->uri, "by: header:customer",
          ", delay: 10ms, fail_each: 5, fails: 1", "crash: {max_attempts: 100}\n");
    for (int i = 0; i < 3; i++) {
        expect_more_done(f, &before, 600);
        proc_signal(f->worker->proc, SIGKILL);
        proc_wait(f->worker->proc, PATIENCE_MS);
        worker_consume(f->worker, 1);
    }
    expect_done(f, 600);
    stop_when_empty(f);
}

/* ---- one key and the others ---- */

/* Half of the messages are of a key that stands still: all others are handled meanwhile, for what
 * waits takes no place of the prefetch. */
static void a_hot_key_leaves_the_others_their_places(void **state)
{
    struct fixture *f = *state;
    struct keyed p;

    keyed_begin(&p, f, HEADER);
    for (unsigned i = 0; i < 800; i++) {
        keyed_publish(&p, 0, i, NULL);
        keyed_publish(&p, 1 + i % 100, i / 100, NULL);
    }
    keyed_end(&p);
    start_gated(f, "by: header:customer, held: 800", ", gate_key: k0", "");
    expect_done(f, 800);
    assert_int_equal(play(f).keys[0].done, 0);
    fixture_open_gate(f);
    expect_done(f, 1600);
    fixture_stop_and_expect(f, 0, 0);
}

static void expect_number(const struct fixture *f, const char *family, unsigned value)
{
    keyed_expect(f, f->queue, family, "", value, value);
}

/* At the bound the hot key takes places of the prefetch, and its series say so; when it goes on, so
 * do the others. */
static void at_the_bound_the_prefetch_narrows(void **state)
{
    struct fixture *f = *state;
    struct keyed p;

    keyed_begin(&p, f, HEADER);
    for (unsigned i = 0; i < 400; i++)
        keyed_publish(&p, 0, i, NULL);
    for (unsigned i = 0; i < 400; i++)
        keyed_publish(&p, 1 + i % 100, i / 100, NULL);
    keyed_end(&p);
    start_gated(f, "by: header:customer, held: 200", ", gate_key: k0",
                "admin: {listen: '127.0.0.1:0'}\n");
    expect_number(f, "warren_order_waiting", 299); /* and the first: 200 + 100 */
    expect_number(f, "warren_order_max_waiting", 200);
    expect_number(f, "warren_order_full_total", 1);
    expect_number(f, "warren_order_keys", 1);
    assert_int_equal(done(f), 0);
    fixture_open_gate(f);
    expect_done(f, 800);
    expect_number(f, "warren_order_waiting", 0);
    expect_number(f, "warren_order_keys", 0);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- failures that are skipped ---- */

struct begun {
    unsigned numbers[8];
    unsigned count;
};

static void note_begun(void *user, const struct keyed_line *line)
{
    struct begun *begun = user;

    if (line->begins && begun->count < 8)
        begun->numbers[begun->count++] = line->number;
}

/* A message that fails lets those behind it go on, and is not handled beside them. */
static void a_failure_may_be_skipped(void **state)
{
    static const unsigned expected[] = {0, 1, 2, 3, 0};
    struct fixture *f = *state;
    struct begun begun = {.count = 0};

    keyed_publish_all(f, HEADER, 1, 4);
    start(f, &f->worker, f->broker->uri, "by: header:customer, on_failure: skip",
          ", fail_each: 100, fails: 1",
          "    middleware: [log, retry: {policy: constant, initial_delay: 300ms, jitter: none}]\n");
    assert_true(fixture_recorded(f, 10));
    keyed_play(f, 1, note_begun, &begun);
    assert_int_equal(begun.count, 5);
    assert_memory_equal(begun.numbers, expected, sizeof expected);
    fixture_stop_and_expect(f, 0, 0);
}

#define SKIPPING_KEYS 8

struct apart {
    bool at_work[SKIPPING_KEYS];
    unsigned done;
};

static void play_apart(void *user, const struct keyed_line *line)
{
    struct apart *apart = user;

    if (apart->at_work[line->key] == line->begins)
        fail_msg("k%u %u begins while another one of its key is at work", line->key, line->number);
    apart->at_work[line->key] = line->begins;
    apart->done += keyed_is_acked(line);
}

/* @return how many are done; the test fails if two of a key were at work at once */
static unsigned done_apart(const struct fixture *f)
{
    struct apart apart = {.done = 0};

    keyed_play(f, SKIPPING_KEYS, play_apart, &apart);
    return apart.done;
}

/* However many next attempts fall due, at whatever moment: each waits in its line. */
static void what_was_skipped_is_beside_none(void **state)
{
    enum { NUMBERS = 150 };
    struct fixture *f = *state;

    keyed_publish_all(f, HEADER, SKIPPING_KEYS, NUMBERS);
    start(f, &f->worker, f->broker->uri, "by: header:customer, on_failure: skip",
          ", delay: 4ms, fail_each: 1, fails: 1",
          "    middleware: [log, retry: {policy: constant, initial_delay: 7ms}]\n");
    assert_true(WAIT_FOR(done_apart(f) == SKIPPING_KEYS * NUMBERS, PATIENCE_MS));
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- keys that are none ---- */

static void without_a_key_a_message_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct peer_message message;

    keyed_publish_odd(f, HEADER);
    start(f, &f->worker, f->broker->uri, "by: header:customer, missing: reject", "", "");
    expect_done(f, KEYED_ODD_WITH);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == KEYED_ODD_WITHOUT, PATIENCE_MS));
    worker_expect_logged(f->worker, "message is rejected without being handled",
                         "no header 'customer' that is a text or a whole number",
                         KEYED_ODD_WITHOUT);
    assert_int_equal(play(f).begun, KEYED_ODD_WITH);
    assert_true(peer_get(f->peer, f->dlq, &message));
    peer_message_done(&message);
    fixture_stop_and_expect(f, 0, KEYED_ODD_WITHOUT - 1);
}

/* With a gate before it, how many without a key are at work at once. */
static void count_at_work(struct fixture *f, const char *order, unsigned expected)
{
    keyed_publish_odd(f, HEADER);
    start_gated(f, order, "", "");
    assert_true(fixture_recorded(f, expected));
    assert_false(WAIT_FOR(play(f).begun > expected, 200));
    fixture_open_gate(f);
    expect_done(f, KEYED_ODD_WITHOUT + KEYED_ODD_WITH);
    worker_expect_logged(f->worker, "message without a key to be ordered by", f->queue, 1);
    fixture_stop_and_expect(f, 0, 0);
}

static void without_a_key_messages_have_one(void **state)
{
    count_at_work(*state, "by: header:customer", 1 + KEYED_ODD_WITH);
}

static void without_a_key_messages_are_in_no_order(void **state)
{
    count_at_work(*state, "by: header:customer, missing: unordered",
                  KEYED_ODD_WITHOUT + KEYED_ODD_WITH);
}

/* ---- without an order, too ---- */

/* The connection is lost while a handler runs: the broker gives the message again, and it waits for
 * the end of that handler. */
static void what_comes_again_waits_for_the_end(void **state)
{
    struct fixture *f = *state;
    struct keyed p;

    f->proxy = proxy_new(f->broker->port);
    keyed_begin(&p, f, HEADER);
    keyed_publish(&p, 0, 0, NULL);
    keyed_end(&p);
    f->worker = worker_new(proxy_uri(f->proxy),
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: ordered.run\n"
                           "    concurrency: 4\n"
                           "    options: {path: '%s', gate: '%s'}\n",
                           f->queue, f->record, f->gate);
    worker_consume(f->worker, 1);
    assert_true(fixture_recorded(f, 1));
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 1, PATIENCE_MS));
    assert_false(WAIT_FOR(play(f).begun > 1, 500));
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 4));
    assert_int_equal(play(f).begun, 2);
    fixture_stop_and_expect(f, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYED_TEST(a_thousand_keys_are_in_order, "classic"),
        KEYED_TEST(the_handler_says_the_key, NULL),
        KEYED_TEST(a_lost_connection_keeps_the_order, NULL),
        KEYED_TEST(every_middleware_keeps_the_order, NULL),
        KEYED_TEST(a_drain_hands_a_quorum_queue_over_in_order, NULL),
        KEYED_TEST(a_drain_hands_a_classic_queue_over_in_order, NULL),
        KEYED_TEST(a_crash_keeps_the_order, NULL),
        KEYED_TEST(a_hot_key_leaves_the_others_their_places, "classic"),
        KEYED_TEST(at_the_bound_the_prefetch_narrows, "classic"),
        KEYED_TEST(a_failure_may_be_skipped, "classic"),
        KEYED_TEST(what_was_skipped_is_beside_none, "classic"),
        KEYED_TEST(without_a_key_a_message_is_rejected, "classic"),
        KEYED_TEST(without_a_key_messages_have_one, "classic"),
        KEYED_TEST(without_a_key_messages_are_in_no_order, "classic"),
        KEYED_TEST(what_comes_again_waits_for_the_end, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
