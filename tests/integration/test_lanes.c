/* test_lanes.c - `lanes:` on a real broker: what is old, or has failed, goes to the slow queue, as
 * it was; each lane has its share; and priorities are kept on all ways.
 *
 * The queue of the fixture is the fast lane, `other` the slow one. Key 0 is of messages that begin
 * in the fast one, key 1 of others; the handler is tests/plugins/ordered.c.
 */
#include <signal.h>
#include <time.h>

#include "dead_fixture.h"
#include "support/admin.h"
#include "support/command.h"
#include "support/keyed.h"

#define HANDLER "ordered.run"
#define NUMBERS 300 /* of messages of a key, at most */

/* @age_s -1: it has no timestamp */
static void publish(struct fixture *f, const char *queue, unsigned key, unsigned number,
                    int64_t age_s)
{
    char *id = text("k%u-%u", key, number);
    char *body = text("k%u %u", key, number);
    amqp_table_entry_t own = {
        .key = amqp_cstring_bytes("tenant"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("acme")}};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_HEADERS_FLAG |
                  AMQP_BASIC_DELIVERY_MODE_FLAG | (age_s < 0 ? 0u : AMQP_BASIC_TIMESTAMP_FLAG),
        .message_id = amqp_cstring_bytes(id),
        .priority = 3,
        .delivery_mode = 2,
        .timestamp = (uint64_t)(time(NULL) - age_s),
        .headers = {1, &own}};

    peer_publish(f->peer, "", queue, body, strlen(body), &properties);
    free(id);
    free(body);
}

static void make_worker(struct fixture *f, const char *uri, const char *lanes, const char *options,
                        const char *more)
{
    f->worker = worker_new(uri,
                           "admin: {listen: '127.0.0.1:0'}\n"
                           "topology:\n"
                           "  queues:\n"
                           "    - {name: %s}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: " HANDLER "\n"
                           "    concurrency: 4\n"
                           "    prefetch: 400\n"
                           "    lanes: {fast: %s, slow: %s%s}\n"
                           "    options: {path: '%s'%s}\n"
                           "    middleware: [log, retry: {policy: constant, initial_delay: 5ms, "
                           "max_attempts: 3}, recover]\n"
                           "%s",
                           f->queue, f->queue, f->queue, f->other, lanes, f->record, options, more);
    worker_consume(f->worker, 2);
}

static void start(struct fixture *f, const char *lanes, const char *options)
{
    make_worker(f, f->broker->uri, lanes, options, "");
}

static void start_gated(struct fixture *f, const char *lanes, const char *which)
{
    char *options = text(", gate: '%s'%s", f->gate, which);

    start(f, lanes, options);
    free(options);
}

/* ---- what was seen ---- */

struct played {
    unsigned begun[2];
    unsigned done[2];
    unsigned different[2]; /* messages of these */
    bool is_done[2][NUMBERS];
    unsigned second_in_200; /* of key 1, of the 200 that begin behind the first 20 */
};

static void play_line(void *user, const struct keyed_line *line)
{
    struct played *played = user;
    unsigned all = played->begun[0] + played->begun[1];
    unsigned key = line->key;

    assert_true(line->number < NUMBERS);
    if (line->begins && key == 1 && all >= 20 && all < 220)
        played->second_in_200++;
    played->begun[key] += line->begins;
    if (!keyed_is_acked(line))
        return;
    played->done[key]++;
    played->different[key] += !played->is_done[key][line->number];
    played->is_done[key][line->number] = true;
}

static struct played play(const struct fixture *f)
{
    struct played played = {.done = {0, 0}};

    keyed_play(f, 2, play_line, &played);
    return played;
}

static unsigned done(const struct fixture *f)
{
    struct played played = play(f);

    return played.different[0] + played.different[1];
}

static void expect_done(struct fixture *f, unsigned count)
{
    if (!WAIT_FOR(done(f) >= count, PATIENCE_MS))
        fail_msg("%u of %u are done: %s", done(f), count, proc_stderr(f->worker->proc));
}

static void expect_acked(const struct fixture *f, unsigned fast, unsigned slow)
{
    keyed_expect(f, f->queue, "warren_messages_settled_total", ",outcome=\"ack\"", fast, fast);
    keyed_expect(f, f->other, "warren_messages_settled_total", ",outcome=\"ack\"", slow, slow);
}

/* Whether each copy that the worker has made is confirmed. */
static bool copies_are_confirmed(const struct fixture *f)
{
    char *address = admin_address(f->worker);
    char *body = NULL;
    const char *at;
    bool none;

    admin_get(address, "/metrics", NULL, &body);
    at = strstr(body, "\nwarren_window_messages{");
    at = at ? strstr(at, "} ") : NULL;
    none = at && atof(at + 2) == 0;
    free(body);
    free(address);
    return none;
}

/* What is moved goes from the fast lane over the publisher, which may have been cut off for longer,
 * to the slow one. */
static void stop_empty(struct fixture *f)
{
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(copies_are_confirmed(f), PATIENCE_MS));
    worker_expect_empty(f->worker, f->broker, f->other);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
}

/* ---- what goes where ---- */

/* Ten are old, twenty are not, or say nothing of it, or are of the future; of each, those with a
 * number that five divides fail once. */
static void what_is_old_or_has_failed_goes_to_the_slow_lane(void **state)
{
    struct fixture *f = *state;

    start(f, ", slow_after: 1m", ", fail_each: 5, fails: 1");
    for (unsigned i = 0; i < 10; i++)
        publish(f, f->queue, 1, i, 3600);
    for (unsigned i = 0; i < 20; i++)
        publish(f, f->queue, 0, i, i < 10 ? 0 : i < 15 ? -1 : -86400);
    expect_done(f, 30);
    keyed_expect(f, f->queue, "warren_lane_moved_total", ",why=\"age\"", 10, 10);
    keyed_expect(f, f->queue, "warren_lane_moved_total", ",why=\"failure\"", 4, 4);
    expect_acked(f, 16, 14);
    assert_int_equal(play(f).begun[0], 24);
    assert_int_equal(play(f).begun[1], 12);
    stop_empty(f);
}

/* One that fails for good: its first attempt is the fast lane's, the others the slow one's; its
 * dead letter comes to the fast one's, and is the message as it was. */
static void then_it_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;

    start(f, ", slow_after: 1h", ", fail_each: 1, fails: 100");
    publish(f, f->queue, 0, 7, 60);
    take_dead(f, &dead);
    assert_int_equal(play(f).begun[0], 3);
    assert_string_equal(dead.body, "k0 7");
    assert_string_equal(dead.message_id, "k0-7");
    assert_int_equal(dead.properties->priority, 3);
    assert_header(&dead, "tenant", "acme");
    assert_header(&dead, NOTE_QUEUE, f->other);
    assert_header(&dead, NOTE_ROUTING_KEY, f->queue);
    assert_integer(&dead, NOTE_ATTEMPTS, 3);
    peer_message_done(&dead);
    expect_acked(f, 0, 0);
    stop_empty(f);
}

/* The slow queue is gone: its copies are returned, and the fast lane handles what is old, and what
 * has failed. */
static void without_a_slow_queue_all_is_the_fast_lanes(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "quorum");
    peer_declare(f->peer, f->other, "quorum");
    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: " HANDLER "\n"
                           "    lanes: {slow: %s, slow_after: 1m}\n"
                           "    options: {path: '%s', fail_each: 5, fails: 1}\n"
                           "    middleware: [retry: {policy: constant, initial_delay: 5ms}]\n",
                           f->queue, f->other, f->record);
    worker_consume(f->worker, 2);
    peer_delete_alone(f->peer, f->other);
    for (unsigned i = 0; i < 10; i++)
        publish(f, f->queue, 0, i, 3600);
    expect_done(f, 10);
    keyed_expect(f, f->queue, "warren_lane_moves_failed_total", "", 10, 10);
    keyed_expect(f, f->queue, "warren_messages_settled_total", ",outcome=\"ack\"", 10, 10);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* A lost connection, while messages move, fail and are handled: none is lost. */
static void a_lost_connection_loses_nothing(void **state)
{
    struct fixture *f = *state;

    f->proxy = proxy_new(f->broker->port);
    make_worker(f, proxy_uri(f->proxy), ", slow_after: 1m", ", delay: 4ms, fail_each: 7, fails: 1",
                "");
    for (unsigned i = 0; i < 300; i++)
        publish(f, f->queue, i % 2, i / 2, i % 2 ? 3600 : 0);
    assert_true(WAIT_FOR(done(f) > 50, PATIENCE_MS));
    proxy_cut(f->proxy, PROXY_RST);
    expect_done(f, 300);
    stop_empty(f);
}

/* What the fast lane has done is not done again in the slow one. */
static void both_lanes_know_what_was_done(void **state)
{
    struct fixture *f = *state;

    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\n"
                           "store: {path: store.db}\n"
                           "topology: {queues: [{name: %s}]}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: " HANDLER "\n"
                           "    lanes: {slow: %s, slow_after: 1m}\n"
                           "    options: {path: '%s'}\n"
                           "    middleware: [idempotency]\n",
                           f->queue, f->queue, f->other, f->record);
    worker_consume(f->worker, 2);
    publish(f, f->queue, 0, 1, 0);
    expect_acked(f, 1, 0);
    publish(f, f->queue, 0, 1, 3600);
    expect_acked(f, 1, 1);
    assert_int_equal(play(f).begun[0], 1);
    stop_empty(f);
}

/* ---- shares ---- */

static void publish_both(struct fixture *f, unsigned each)
{
    for (unsigned i = 0; i < each; i++) {
        publish(f, f->queue, 0, i, -1);
        publish(f, f->other, 1, i, -1);
    }
}

/* Both have messages all the time: of four that begin one is the slow lane's. */
static void each_lane_has_its_share(void **state)
{
    struct fixture *f = *state;

    start_gated(f, ", share: 3:1, concurrency: 4", "");
    publish_both(f, 250);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 250 &&
                             broker_unacked(f->broker, f->other) == 250,
                         PATIENCE_MS));
    fixture_open_gate(f);
    expect_done(f, 500);
    assert_in_range(play(f).second_in_200, 45, 55);
    stop_empty(f);
}

/* The slow lane's handlers stand still: it has its own places, and no more. */
static void a_slow_lane_that_stands_leaves_the_others(void **state)
{
    struct fixture *f = *state;

    start_gated(f, ", share: 1:1, concurrency: 2", ", gate_key: k1");
    publish_both(f, 50);
    assert_true(WAIT_FOR(play(f).different[0] == 50, PATIENCE_MS));
    assert_in_range(play(f).begun[1], 1, 2);
    assert_int_equal(play(f).done[1], 0);
    fixture_open_gate(f);
    expect_done(f, 100);
    stop_empty(f);
}

/* Keys in turn in each lane, and what is too much of the fast one comes back by the delay queues.
 */
static void with_fairness(void **state)
{
    struct fixture *f = *state;

    make_worker(f, f->broker->uri, ", slow_after: 1m", ", delay: 2ms, fail_each: 10, fails: 1",
                "    fair: {by: header:tenant, concurrency: 3, held: 20}\n");
    for (unsigned i = 0; i < 100; i++)
        publish(f, f->queue, i % 2, i / 2, i % 2 ? 3600 : 0);
    expect_done(f, 100);
    expect_acked(f, 45, 55);
    stop_empty(f);
}

/* ---- priorities ---- */

/* A message keeps its priority on the way through the delay queues, into the dead-letter queue, and
 * by a replay into its queue, where it is before others again. */
static void priorities_are_kept(void **state)
{
    struct fixture *f = *state;
    struct command replay;
    struct peer_message message;

    setenv("WARREN_BROKER_URI", f->broker->uri, 1);
    f->worker = worker_new(f->broker->uri,
                           "topology:\n"
                           "  queues:\n"
                           "    - {name: %s, type: classic, arguments: {x-max-priority: 5}}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: " HANDLER "\n"
                           "    options: {path: '%s', fail_each: 1, fails: 100}\n"
                           "    middleware: [retry: {policy: constant, initial_delay: 1s, jitter: "
                           "none, in_memory_max: 0s, max_attempts: 2}]\n",
                           f->queue, f->queue, f->record);
    worker_consume(f->worker, 1);
    publish(f, f->queue, 0, 7, -1);
    assert_true(has_dead(f, 1));
    assert_int_equal(play(f).begun[0], 2);
    assert_int_equal(worker_stop(f->worker), 0);
    peer_say(f->peer, f->queue, "of no priority");
    replay = COMMAND("dlq", "replay", f->queue, "--quiet");
    command_expect(&replay, 0);
    command_done(&replay);
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.body, "k0 7");
    assert_int_equal(message.properties->priority, 3);
    peer_message_done(&message);
    assert_int_equal(peer_count(f->peer, f->queue), 1);
}

/* ---- reloading ---- */

/* Lanes stay what they are: a reload that has others changes nothing. */
static void a_reload_does_not_change_lanes(void **state)
{
    struct fixture *f = *state;
    char *yaml;
    char *share;

    start(f, ", share: 3:1", "");
    yaml = read_file(f->worker->config, NULL);
    share = strstr(yaml, "share: 3:1");
    assert_non_null(share);
    share[7] = '5';
    free(write_file(f->worker->directory, "worker.yaml", yaml));
    proc_signal(f->worker->proc, SIGHUP);
    worker_expect_logged(f->worker, "are other ones, which takes a restart", NULL, 1);
    free(yaml);
    publish(f, f->queue, 0, 1, -1);
    expect_done(f, 1);
    stop_empty(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYED_TEST(what_is_old_or_has_failed_goes_to_the_slow_lane, NULL),
        KEYED_TEST(then_it_is_a_dead_letter, NULL),
        KEYED_TEST(without_a_slow_queue_all_is_the_fast_lanes, NULL),
        KEYED_TEST(a_lost_connection_loses_nothing, NULL),
        KEYED_TEST(both_lanes_know_what_was_done, NULL),
        KEYED_TEST(each_lane_has_its_share, NULL),
        KEYED_TEST(a_slow_lane_that_stands_leaves_the_others, NULL),
        KEYED_TEST(with_fairness, NULL),
        KEYED_TEST(priorities_are_kept, NULL),
        KEYED_TEST(a_reload_does_not_change_lanes, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
