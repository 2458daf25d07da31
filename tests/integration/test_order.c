/* test_order.c - `order:` on a real broker: messages of one key are handled one after the other, in
 * the queue's order, whatever fails, is lost, drains or is killed; others at the same time.
 *
 * What the handler writes down (tests/plugins/ordered.c) is played again: a message of a key may
 * begin only when no other one of it is being handled, and all before it are done.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>

#include "support/admin.h"
#include "support/fixture.h"

#define KEYS_MAX 1000

/* ---- publishing ---- */

struct publishing {
    struct warren_publisher *publisher;
    const char *queue;
    unsigned accepted;
    atomic_uint confirmed;
};

static void count_confirmed(const struct warren_receipt *receipt, void *user)
{
    struct publishing *p = user;

    if (receipt->result == WARREN_CONFIRMED)
        atomic_fetch_add(&p->confirmed, 1);
}

/* @value NULL: the header is the key as a text */
static void publish(struct publishing *p, unsigned key, unsigned number,
                    const struct warren_value *value)
{
    char *name = text("k%u", key);
    char *id = text("k%u-%u", key, number);
    char *body = text("k%u %u", key, number);
    struct warren_field field = {.name = "customer",
                                 .value = {.type = WARREN_STRING, .as.bytes = warren_text(name)}};
    struct warren_message message = {.properties = {.headers = {.fields = &field, .count = 1},
                                                    .message_id = id,
                                                    .delivery_mode = 2},
                                     .body = warren_text(body)};
    const struct warren_publish what = {.message = &message, .routing_key = p->queue};

    if (value)
        field.value = *value;
    if (value && value->type == WARREN_VOID)
        message.properties.headers.count = 0;
    assert_int_equal(warren_publisher_publish(p->publisher, &what, count_confirmed, p, NULL),
                     WARREN_OK);
    p->accepted++;
    free(name);
    free(id);
    free(body);
}

static void begin_publishing(struct fixture *f, struct publishing *p)
{
    *p = (struct publishing){.queue = f->queue};
    p->publisher = publisher_open(f->broker->uri, NULL);
}

static void end_publishing(struct publishing *p)
{
    assert_true(WAIT_FOR(atomic_load(&p->confirmed) == p->accepted, PATIENCE_MS));
    warren_publisher_close(p->publisher, 0);
}

/* Numbers @first up to @end of each key, one key after the other. */
static void publish_all(struct fixture *f, unsigned keys, unsigned first, unsigned end)
{
    struct publishing p;

    begin_publishing(f, &p);
    for (unsigned number = first; number < end; number++)
        for (unsigned key = 0; key < keys; key++)
            publish(&p, key, number, NULL);
    end_publishing(&p);
}

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

static void play_begin(struct played *played, int pid, unsigned key, unsigned number)
{
    struct key_played *k = &played->keys[key];

    if (k->at_work == pid)
        fail_msg("k%u %u begins while another one of its key is at work", key, number);
    if (number > k->done)
        fail_msg("k%u %u begins, and those from %u on are not done", key, number, k->done);
    if (k->at_work == 0)
        played->at_work++; /* else that process was killed */
    k->at_work = pid;
    played->begun++;
    if (played->at_work > played->most)
        played->most = played->at_work;
}

static void play_end(struct played *played, int pid, unsigned key, unsigned number,
                     const char *outcome)
{
    struct key_played *k = &played->keys[key];

    assert_int_equal(k->at_work, pid);
    k->at_work = 0;
    played->at_work--;
    if (strcmp(outcome, "retry") == 0) {
        played->failed++;
    } else if (number == k->done) {
        k->done++;
        played->done++;
    }
}

/* Play @f->record, as far as it is written. */
static struct played play(const struct fixture *f)
{
    struct played played = {.done = 0};
    FILE *file = fopen(f->record, "r");
    char line[256];

    while (file && fgets(line, sizeof line, file)) {
        unsigned number;
        unsigned key;
        char how[32];
        char what;
        int pid;

        if (!strchr(line, '\n')) /* it is being written */
            break;
        assert_int_equal(sscanf(line, "%c %d k%u %u %31s", &what, &pid, &key, &number, how), 5);
        assert_true(key < KEYS_MAX);
        if (what == 'b')
            play_begin(&played, pid, key, number);
        else
            play_end(&played, pid, key, number, how);
    }
    if (file)
        fclose(file);
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

static int setup(void **state)
{
    struct fixture *f;

    fixture_setup(state);
    f = *state;
    f->record = text("%s/record", f->directory);
    return 0;
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

    publish_all(f, KEYS_MAX, 0, 5);
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
    publish_all(f, 50, 0, 10);
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
    publish_all(f, 40, 0, 25);
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
    publish_all(f, 40, 0, 10);
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
    publish_all(f, 40, 0, 15);
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
    publish_all(f, 40, 0, 15);
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
    struct publishing p;

    begin_publishing(f, &p);
    for (unsigned i = 0; i < 800; i++) {
        publish(&p, 0, i, NULL);
        publish(&p, 1 + i % 100, i / 100, NULL);
    }
    end_publishing(&p);
    start_gated(f, "by: header:customer, held: 800", ", gate_key: k0", "");
    expect_done(f, 800);
    assert_int_equal(play(f).keys[0].done, 0);
    fixture_open_gate(f);
    expect_done(f, 1600);
    fixture_stop_and_expect(f, 0, 0);
}

static bool says(const char *address, const char *line)
{
    char *body = NULL;
    bool has;

    admin_get(address, "/metrics", NULL, &body);
    has = strstr(body, line) != NULL;
    free(body);
    return has;
}

static void expect_number(const char *address, const struct fixture *f, const char *family,
                          unsigned value)
{
    char *line = text("%s{queue=\"%s\",handler=\"ordered.run\"} %u\n", family, f->queue, value);

    if (!WAIT_FOR(says(address, line), PATIENCE_MS))
        fail_msg("not there: %s", line);
    free(line);
}

/* At the bound the hot key takes places of the prefetch, and its series say so; when it goes on, so
 * do the others. */
static void at_the_bound_the_prefetch_narrows(void **state)
{
    struct fixture *f = *state;
    struct publishing p;
    char *address;

    begin_publishing(f, &p);
    for (unsigned i = 0; i < 400; i++)
        publish(&p, 0, i, NULL);
    for (unsigned i = 0; i < 400; i++)
        publish(&p, 1 + i % 100, i / 100, NULL);
    end_publishing(&p);
    start_gated(f, "by: header:customer, held: 200", ", gate_key: k0",
                "admin: {listen: '127.0.0.1:0'}\n");
    address = admin_address(f->worker);
    expect_number(address, f, "warren_order_waiting", 299); /* and the first: 200 + 100 */
    expect_number(address, f, "warren_order_max_waiting", 200);
    expect_number(address, f, "warren_order_full_total", 1);
    expect_number(address, f, "warren_order_keys", 1);
    assert_int_equal(done(f), 0);
    fixture_open_gate(f);
    expect_done(f, 800);
    expect_number(address, f, "warren_order_waiting", 0);
    expect_number(address, f, "warren_order_keys", 0);
    free(address);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- failures that are skipped ---- */

/* A message that fails lets those behind it go on, and is not handled beside them. */
static void a_failure_may_be_skipped(void **state)
{
    struct fixture *f = *state;
    struct publishing p;
    FILE *file;
    char line[256];
    unsigned first[8];
    unsigned count = 0;

    begin_publishing(f, &p);
    for (unsigned i = 0; i < 4; i++)
        publish(&p, 0, i, NULL);
    end_publishing(&p);
    start(f, &f->worker, f->broker->uri, "by: header:customer, on_failure: skip",
          ", fail_each: 100, fails: 1",
          "    middleware: [log, retry: {policy: constant, initial_delay: 300ms, jitter: none}]\n");
    assert_true(fixture_recorded(f, 10));
    file = fopen(f->record, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (line[0] == 'b' && count < 8)
            assert_int_equal(sscanf(line, "b %*d k0 %u", &first[count++]), 1);
    fclose(file);
    assert_int_equal(count, 5);
    assert_int_equal(first[0], 0);
    assert_int_equal(first[1], 1);
    assert_int_equal(first[2], 2);
    assert_int_equal(first[3], 3);
    assert_int_equal(first[4], 0);
    fixture_stop_and_expect(f, 0, 0);
}

#define SKIPPING_KEYS 8

/* @return how many are done; the test fails if two of a key were at work at once */
static unsigned done_apart(const struct fixture *f)
{
    FILE *file = fopen(f->record, "r");
    bool at_work[SKIPPING_KEYS] = {false};
    unsigned count = 0;
    char line[256];

    while (file && fgets(line, sizeof line, file) && strchr(line, '\n')) {
        unsigned number;
        unsigned key;
        char how[32];
        char what;

        assert_int_equal(sscanf(line, "%c %*d k%u %u %31s", &what, &key, &number, how), 4);
        assert_true(key < SKIPPING_KEYS);
        if (at_work[key] == (what == 'b'))
            fail_msg("k%u %u begins while another one of its key is at work", key, number);
        at_work[key] = what == 'b';
        count += what == 'e' && strcmp(how, "ack") == 0;
    }
    if (file)
        fclose(file);
    return count;
}

/* However many next attempts fall due, at whatever moment: each waits in its line. */
static void what_was_skipped_is_beside_none(void **state)
{
    enum { NUMBERS = 150 };
    struct fixture *f = *state;

    publish_all(f, SKIPPING_KEYS, 0, NUMBERS);
    start(f, &f->worker, f->broker->uri, "by: header:customer, on_failure: skip",
          ", delay: 4ms, fail_each: 1, fails: 1",
          "    middleware: [log, retry: {policy: constant, initial_delay: 7ms}]\n");
    assert_true(WAIT_FOR(done_apart(f) == SKIPPING_KEYS * NUMBERS, PATIENCE_MS));
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- keys that are none ---- */

/* Messages whose customer is missing, of another type, or empty, and others whose is a number, has
 * a NUL, or 100 kB. */
static void publish_odd(struct fixture *f)
{
    static char longest[100000];
    static const struct warren_value values[] = {
        {.type = WARREN_VOID}, /* the header is left out */
        {.type = WARREN_TABLE},
        {.type = WARREN_F64, .as.real = 1.5},
        {.type = WARREN_STRING, .as.bytes = {"", 0}},
        {.type = WARREN_I32, .as.integer = 7},
        {.type = WARREN_STRING, .as.bytes = {"a\0b", 3}},
        {.type = WARREN_STRING, .as.bytes = {longest, sizeof longest}},
    };
    struct publishing p;

    memset(longest, 'k', sizeof longest);
    begin_publishing(f, &p);
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        publish(&p, i, 0, &values[i]);
    end_publishing(&p);
}

#define ODD_WITHOUT 4
#define ODD_WITH    3

static void without_a_key_a_message_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct peer_message message;

    publish_odd(f);
    start(f, &f->worker, f->broker->uri, "by: header:customer, missing: reject", "", "");
    expect_done(f, ODD_WITH);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == ODD_WITHOUT, PATIENCE_MS));
    worker_expect_logged(f->worker, "message is rejected without being handled",
                         "no header 'customer' that is a text or a whole number", ODD_WITHOUT);
    assert_int_equal(play(f).begun, ODD_WITH);
    assert_true(peer_get(f->peer, f->dlq, &message));
    peer_message_done(&message);
    fixture_stop_and_expect(f, 0, ODD_WITHOUT - 1);
}

/* With a gate before it, how many without a key are at work at once. */
static void count_at_work(struct fixture *f, const char *order, unsigned expected)
{
    publish_odd(f);
    start_gated(f, order, "", "");
    assert_true(fixture_recorded(f, expected));
    assert_false(WAIT_FOR(play(f).begun > expected, 200));
    fixture_open_gate(f);
    expect_done(f, ODD_WITHOUT + ODD_WITH);
    worker_expect_logged(f->worker, "message without a key to be ordered by", f->queue, 1);
    fixture_stop_and_expect(f, 0, 0);
}

static void without_a_key_messages_have_one(void **state)
{
    count_at_work(*state, "by: header:customer", 1 + ODD_WITH);
}

static void without_a_key_messages_are_in_no_order(void **state)
{
    count_at_work(*state, "by: header:customer, missing: unordered", ODD_WITHOUT + ODD_WITH);
}

/* ---- without an order, too ---- */

/* The connection is lost while a handler runs: the broker gives the message again, and it waits for
 * the end of that handler. */
static void what_comes_again_waits_for_the_end(void **state)
{
    struct fixture *f = *state;
    struct publishing p;

    f->proxy = proxy_new(f->broker->port);
    begin_publishing(f, &p);
    publish(&p, 0, 0, NULL);
    end_publishing(&p);
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

#define TEST(name, type)                                                                           \
    cmocka_unit_test_prestate_setup_teardown(name, setup, fixture_teardown,                        \
                                             (void *)(uintptr_t)(const char *)(type))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_keys_are_in_order, "classic"),
        TEST(the_handler_says_the_key, NULL),
        TEST(a_lost_connection_keeps_the_order, NULL),
        TEST(every_middleware_keeps_the_order, NULL),
        TEST(a_drain_hands_a_quorum_queue_over_in_order, NULL),
        TEST(a_drain_hands_a_classic_queue_over_in_order, NULL),
        TEST(a_crash_keeps_the_order, NULL),
        TEST(a_hot_key_leaves_the_others_their_places, "classic"),
        TEST(at_the_bound_the_prefetch_narrows, "classic"),
        TEST(a_failure_may_be_skipped, "classic"),
        TEST(what_was_skipped_is_beside_none, "classic"),
        TEST(without_a_key_a_message_is_rejected, "classic"),
        TEST(without_a_key_messages_have_one, "classic"),
        TEST(without_a_key_messages_are_in_no_order, "classic"),
        TEST(what_comes_again_waits_for_the_end, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
