/* test_spool_refused.c - what the broker refused, and an operator decides about, while a publisher
 * has the spool and goes on: discarded, or sent again by that publisher; nothing else is lost.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "publish/spool/spooler.h"
#include "support/command.h"
#include "support/fixture.h"

static void open_publisher(struct fixture *f, const char *uri)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.spool_path = f->spool;
    assert_int_equal(warren_publisher_new(&options, &f->publisher, NULL), WARREN_OK);
}

static int setup(void **state)
{
    *state = "classic";
    fixture_setup(state);
    open_publisher(*state, ((struct fixture *)*state)->broker->uri);
    return 0;
}

static void close_publisher(struct fixture *f)
{
    warren_publisher_close(f->publisher, 0);
    f->publisher = NULL;
}

static struct warren_publisher_stats stats_of(const struct fixture *f)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(f->publisher, &stats);
    return stats;
}

/* Without a callback, which is what keeps an unroutable message. */
static enum warren_status publish(const struct fixture *f, const char *key, const char *body)
{
    struct warren_message message = {.body = warren_text(body)};
    struct warren_publish what = {.routing_key = key, .message = &message};

    return warren_publisher_publish(f->publisher, &what, NULL, NULL, NULL);
}

static void refuse_two(const struct fixture *f)
{
    assert_int_equal(publish(f, f->other, "a"), WARREN_OK);
    assert_int_equal(publish(f, f->other, "b"), WARREN_OK);
    assert_true(WAIT_FOR(stats_of(f).spool_refused == 2, PATIENCE_MS));
}

static void expect_discarded(const struct fixture *f, const char *which, const char *says)
{
    struct command command = COMMAND("spool", "discard", f->spool, which, "--yes");

    command_expect(&command, 0);
    assert_has(command.out, says);
    command_done(&command);
}

static void send_again(const struct fixture *f, const char *says)
{
    struct command command = COMMAND("spool", "flush", f->spool, "--refused", "--json");

    command_expect(&command, 0);
    assert_has(command.out, says);
    command_done(&command);
}

static bool nothing_is_left(const struct fixture *f)
{
    struct warren_publisher_stats stats = stats_of(f);

    return stats.spool_messages == 0 && stats.spool_refused == 0 && stats.spool_bytes == 0;
}

/* The publisher's counts and its file. */
static void expect_empty(const struct fixture *f)
{
    struct command command;

    assert_true(WAIT_FOR(nothing_is_left(f), PATIENCE_MS));
    command = COMMAND("spool", "list", f->spool, "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"to_send\":0,\"refused\":0,\"bytes\":0");
    command_done(&command);
}

/* ---- one after the other ---- */

/* The publisher sees that there is one less, and has its room again. */
static void discarded_beside_a_publisher(void **state)
{
    struct fixture *f = *state;

    refuse_two(f);
    expect_discarded(f, "1", ": discarded 1 message\n");
    assert_true(WAIT_FOR(stats_of(f).spool_refused == 1, PATIENCE_MS));
    expect_discarded(f, "--refused", ": discarded 1 message\n");
    expect_empty(f);
    assert_int_equal(stats_of(f).confirmed, 0);
}

/* Put in line again, it is sent by the publisher that has the file, which nobody woke. */
static void sent_again_by_the_publisher(void **state)
{
    struct fixture *f = *state;
    struct peer_message message;

    refuse_two(f);
    expect_discarded(f, "1", ": discarded 1 message\n");
    peer_declare(f->peer, f->other, "classic");
    send_again(f, "\"in_line_again\":1}");
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 1, PATIENCE_MS));
    assert_true(peer_get(f->peer, f->other, &message));
    assert_string_equal(message.body, "b");
    peer_message_done(&message);
    expect_empty(f);
}

/* What is refused again is kept again. */
static void refused_again(void **state)
{
    struct fixture *f = *state;

    refuse_two(f);
    send_again(f, "\"in_line_again\":2}");
    assert_true(WAIT_FOR(stats_of(f).returned == 4, PATIENCE_MS));
    assert_true(WAIT_FOR(stats_of(f).spool_refused == 2, PATIENCE_MS));
    expect_discarded(f, "--refused", ": discarded 2 messages\n");
    expect_empty(f);
}

/* ---- what costs the connection ---- */

/* Nobody can publish a NaN, but a file may hold anything. */
static void poison(const struct fixture *f)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(f->spool, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(database,
                     "WITH bad AS (SELECT id, properties AS all_bytes,"
                     "  instr(properties, x'643ff8000000000000') AS place FROM spool)"
                     "UPDATE spool SET properties = CAST(substr(all_bytes, 1, place)"
                     "  || x'7ff8000000000000' || substr(all_bytes, place + 9) AS BLOB)"
                     " FROM bad WHERE bad.id = spool.id AND place > 0",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_changes(database), 1);
    sqlite3_close(database);
}

/* Each of these letters has arrived, perhaps twice, and no other. */
static void expect_bodies(const struct fixture *f, const char *letters)
{
    struct peer_message message;
    unsigned seen = 0;

    while (peer_get(f->peer, f->queue, &message)) {
        const char *letter = strchr(letters, message.body[0]);

        assert_non_null(letter);
        seen |= 1U << (letter - letters);
        peer_message_done(&message);
    }
    assert_int_equal(seen, (1U << strlen(letters)) - 1);
}

/* A message over which the broker closes the connection each time is refused in the end, and the
 * innocent ones that were sent with it arrive. */
static void one_that_costs_the_connection(void **state)
{
    struct fixture *f = *state;
    struct warren_field ratio = {"ratio", {.type = WARREN_F64, .as.real = 1.5}};
    struct warren_message message = {.properties.headers = {&ratio, 1}, .body = warren_text("b")};
    struct warren_publish bad = {.routing_key = f->queue, .message = &message};
    struct command list;

    close_publisher(f);
    open_publisher(f, "amqp://127.0.0.1:1");
    assert_int_equal(publish(f, f->queue, "a"), WARREN_OK);
    assert_int_equal(warren_publisher_publish(f->publisher, &bad, NULL, NULL, NULL), WARREN_OK);
    assert_int_equal(publish(f, f->queue, "c"), WARREN_OK);
    close_publisher(f);
    poison(f);
    open_publisher(f, f->broker->uri);
    assert_true(WAIT_FOR(stats_of(f).spool_refused == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(stats_of(f).spool_messages == 0, PATIENCE_MS));
    expect_bodies(f, "ac");
    list = COMMAND("spool", "list", f->spool, "--refused");
    command_expect(&list, 0);
    assert_has(list.out, "541 INTERNAL_ERROR");
    command_done(&list);
}

/* ---- at the same time ---- */

enum { MESSAGES = 2000 };

struct caller {
    const struct fixture *f;
    atomic_uint published;
    atomic_bool done;
    enum warren_status status;
};

/* Each other message is refused until its queue is there. */
static void *publish_all(void *user)
{
    struct caller *caller = user;
    const struct fixture *f = caller->f;
    char body[16];

    for (unsigned i = 0; caller->status == WARREN_OK && i < MESSAGES; i++) {
        snprintf(body, sizeof body, "%u", i);
        caller->status = publish(f, i % 2 ? f->other : f->queue, body);
        atomic_fetch_add(&caller->published, 1);
    }
    atomic_store(&caller->done, true);
    return NULL;
}

struct seen {
    bool bodies[MESSAGES];
    unsigned distinct;
};

static void see(const struct peer_message *message, void *user)
{
    struct seen *seen = user;
    unsigned long number = strtoul(message->body, NULL, 10);

    assert_true(number < MESSAGES);
    seen->distinct += !seen->bodies[number];
    seen->bodies[number] = true;
}

/* An operator who sends again all the time, across the publisher's own appends, refusals and
 * confirms: every message arrives, and in the end the books are right to the byte. */
static void an_operator_beside_a_busy_publisher(void **state)
{
    struct fixture *f = *state;
    struct caller caller = {.f = f, .status = WARREN_OK};
    struct seen seen = {.distinct = 0};
    int64_t until_ms = now_ms() + 2 * PATIENCE_MS;
    bool declared = false;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, publish_all, &caller), 0);
    while (now_ms() < until_ms && !(atomic_load(&caller.done) && nothing_is_left(f))) {
        if (!declared && atomic_load(&caller.published) >= MESSAGES / 2) {
            peer_declare(f->peer, f->other, "classic");
            declared = true;
        }
        send_again(f, "\"in_line_again\":");
    }
    pthread_join(thread, NULL);
    assert_int_equal(caller.status, WARREN_OK);
    expect_empty(f);
    peer_drain(f->peer, f->queue, see, &seen);
    assert_int_equal(seen.distinct, MESSAGES / 2);
    peer_drain(f->peer, f->other, see, &seen);
    assert_int_equal(seen.distinct, MESSAGES);
}

/* ---- counting ---- */

static bool take_it(void *user, struct record *record)
{
    record_free(record);
    atomic_fetch_add((atomic_uint *)user, 1);
    return true;
}

static void pass_it(void *user, struct record *record)
{
    (void)user;
    record_free(record);
}

static void no_news(void *user, int64_t below)
{
    (void)user;
    (void)below;
}

static void no_trouble(void *user, bool trouble, const char *text)
{
    (void)user;
    if (trouble)
        fail_msg("%s", text);
}

static void append_it(void *user, int64_t messages)
{
    (void)user;
    assert_int_equal(messages, 1);
}

static struct warren_publisher_stats spooler_counts(struct spooler *spooler)
{
    struct warren_publisher_stats stats = {0};

    spooler_stats(spooler, &stats);
    return stats;
}

/* A transaction of the same process appends, and is found on disk, while an operator's change is
 * looked at, before it is told: it counts once. */
static void appended_meanwhile_counts_once(void **state)
{
    static const struct spooler_events events = {take_it, pass_it, no_news, no_trouble, append_it};
    const struct fixture *f = *state;
    char *path = text("%s/counted.db", f->directory);
    const struct database_options file = {.path = path};
    const struct spooler_options options = {.path = path, .max_bytes = 1 << 20};
    struct spool_message message = {.message_id = warren_text("m"),
                                    .routing_key = warren_text("k"),
                                    .properties = {"\0\0", 2},
                                    .body = warren_text("body")};
    int64_t bytes = spool_message_bytes(&message);
    atomic_uint offered = 0;
    struct spooler *spooler;
    struct spool *beside;

    assert_int_equal(spool_open(&file, &beside, NULL), WARREN_OK);
    assert_int_equal(database_begin(spool_database(beside), NULL), WARREN_OK);
    assert_int_equal(spool_append(beside, &message, NULL), WARREN_OK);
    assert_int_equal(spool_refuse(beside, message.id, "312 NO_ROUTE", NULL), WARREN_OK);
    assert_int_equal(database_commit(spool_database(beside), NULL), WARREN_OK);
    assert_int_equal(spooler_new(&options, &events, &offered, &spooler, NULL), WARREN_OK);
    assert_int_equal(spooler_counts(spooler).spool_refused, 1);

    assert_int_equal(database_begin(spool_database(beside), NULL), WARREN_OK);
    assert_int_equal(spool_remove(beside, message.id, NULL, NULL), WARREN_OK);
    assert_int_equal(spool_append(beside, &message, NULL), WARREN_OK);
    assert_int_equal(database_commit(spool_database(beside), NULL), WARREN_OK);
    assert_true(WAIT_FOR(spooler_counts(spooler).spool_refused == 0, PATIENCE_MS));
    spooler_appended(spooler, 1, bytes, message.id);
    assert_true(WAIT_FOR(atomic_load(&offered) == 1, PATIENCE_MS));
    assert_int_equal(spooler_counts(spooler).spool_messages, 1);
    assert_int_equal(spooler_counts(spooler).spool_bytes, bytes);
    spooler_free(spooler);
    spool_close(beside);
    free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(discarded_beside_a_publisher),
        TEST(sent_again_by_the_publisher),
        TEST(refused_again),
        TEST(one_that_costs_the_connection),
        TEST(an_operator_beside_a_busy_publisher),
        TEST(appended_meanwhile_counts_once),
    };

    return cmocka_run_group_tests_name("spool_refused", tests, NULL, NULL);
}
