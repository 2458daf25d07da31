/* test_sqlite_sink.c - sqlite_sink.insert in a real worker: what a message becomes in the table,
 * and that there is one row for each, whatever dies when.
 */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/command.h"
#include "support/fixture.h"
#include "support/stored.h"

#define CREATE                                                                                     \
    "CREATE TABLE IF NOT EXISTS payment (id TEXT PRIMARY KEY, cents INTEGER NOT NULL, "            \
    "name TEXT, how TEXT)"

/* More lines of the subscription. */
static const char *more = "";

/* @store and @options are more of the sections of these names. */
static struct worker *sink(struct fixture *f, const char *store, const char *options)
{
    return worker_new(f->broker->uri,
                      "store: {path: store.db%s}\n"
                      "consumer: {prefetch: 10}\n"
                      "subscriptions:\n"
                      "  - queue: %s\n"
                      "    handler: sqlite_sink.insert\n"
                      "    concurrency: 2\n"
                      "    options: {table: payment, columns: [id, 'cents=amount.cents', "
                      "'name=customer.name', 'how=@header.how'], create: '" CREATE "'%s}\n"
                      "    middleware: [log: {acked: debug}, retry, idempotency]\n"
                      "%s",
                      store, f->queue, options, more);
}

static void publish(struct fixture *f, const char *id, const char *body)
{
    amqp_table_entry_t how = {
        .key = amqp_cstring_bytes("how"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("card")}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                    AMQP_BASIC_MESSAGE_ID_FLAG |
                                                    AMQP_BASIC_HEADERS_FLAG,
                                          .delivery_mode = 2,
                                          .message_id = amqp_cstring_bytes(id),
                                          .headers = {1, &how}};

    peer_publish(f->peer, "", f->queue, body, strlen(body), &properties);
}

static void publish_payments(struct fixture *f, int from, int to)
{
    for (int i = from; i < to; i++) {
        char *id = text("p%d", i);
        char *body = text("{\"id\":\"p%d\",\"amount\":{\"cents\":%d}}", i, i);

        publish(f, id, body);
        free(body);
        free(id);
    }
}

static void assert_answer(struct fixture *f, const char *sql, const char *expected)
{
    char *answer = stored_text(f->worker, sql);

    if (!answer || strcmp(answer, expected) != 0)
        fail_msg("%s: %s, not %s; the worker said:\n%s", sql, answer ? answer : "nothing", expected,
                 proc_stderr(f->worker->proc));
    free(answer);
}

/* ---- what a message becomes ---- */

/* Fields, fields of fields, headers; an array is as many rows; what is missing is NULL. Published
 * twice, everything is there once. */
static void a_message_becomes_a_row(void **state)
{
    struct fixture *f = *state;

    f->worker = sink(f, "", "");
    worker_consume(f->worker, 1);
    for (int i = 0; i < 2; i++) {
        publish(f, "one",
                "{\"id\":\"a\",\"amount\":{\"cents\":100},\"customer\":{\"name\":\"Zo\\u00eb\"}}");
        publish(f, "two",
                "[{\"id\":\"b\",\"amount\":{\"cents\":1}},{\"id\":7,\"amount\":{\"cents\":2.5}}]");
    }
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*) FROM payment", "3");
    assert_answer(f, "SELECT id||cents||name||how FROM payment WHERE id = 'a'",
                  "a100Zo\u00eb"
                  "card");
    assert_answer(f, "SELECT typeof(id)||typeof(cents)||typeof(name) FROM payment WHERE id = '7'",
                  "textrealnull");
    assert_answer(f, "SELECT count(*) FROM done", "2");
}

static void assert_rejected(struct fixture *f, const char *id, const char *body, const char *why)
{
    int before = worker_logged(f->worker, why, NULL);

    publish(f, id, body);
    if (!WAIT_FOR(worker_logged(f->worker, why, NULL) > before, PATIENCE_MS))
        fail_msg("no word of \"%s\":\n%s", why, proc_stderr(f->worker->proc));
    worker_expect_empty(f->worker, f->broker, f->queue);
}

/* No JSON, no object, a value that is missing, one that a constraint forbids: rejected with the
 * reason, and nothing of it is kept, also where other rows of the message were in order. */
static void what_does_not_fit_is_rejected(void **state)
{
    struct fixture *f = *state;

    f->worker = sink(f, "", "");
    worker_consume(f->worker, 1);
    publish_payments(f, 0, 1);
    assert_rejected(f, "m1", "{", "the body is no JSON");
    assert_rejected(f, "m2", "\"text\"", "no JSON object");
    assert_rejected(f, "m3", "{\"id\":\"c\"}", "NOT NULL constraint");
    assert_rejected(f, "m4",
                    "[{\"id\":\"d\",\"amount\":{\"cents\":1}},{\"id\":\"p0\",\"amount\":"
                    "{\"cents\":1}}]",
                    "UNIQUE constraint");
    assert_answer(f, "SELECT group_concat(id) FROM payment", "p0");
    assert_answer(f, "SELECT count(*) FROM done", "1");
}

/* ---- opening ---- */

static void assert_refused(struct fixture *f, const char *yaml, const char *words)
{
    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: sqlite_sink.insert\n"
                           "%s",
                           f->queue, yaml);
    worker_run(f->worker, NULL);
    assert_int_not_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    if (!strstr(proc_stderr(f->worker->proc), words))
        fail_msg("no \"%s\" in: %s", words, proc_stderr(f->worker->proc));
    worker_free(f->worker);
    f->worker = NULL;
}

#define WITH_STORE(options)                                                                        \
    "    options: " options "\n    middleware: [idempotency]\nstore: {path: store.db}\n"

/* Without idempotency or a store, with a table or a column that is not there, with a bad mapping,
 * with warren's own table: the worker does not start, and says why. */
static void what_cannot_work_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, "    options: {table: t, columns: [a]}\n    middleware: [log]\n",
                   "it needs the middleware idempotency");
    assert_refused(f, "    options: {table: t, columns: [a]}\n    middleware: [idempotency]\n",
                   "set store.path");
    assert_refused(f, WITH_STORE("{table: t, columns: [a]}"), "no such table: t");
    assert_refused(f, WITH_STORE("{table: t, columns: [b], create: 'CREATE TABLE t (a)'}"),
                   "no column named b");
    assert_refused(f, WITH_STORE("{table: t, columns: ['a=@what']}"), "a source is a field");
    assert_refused(f, WITH_STORE("{table: t, columns: ['=a']}"), "COLUMN=SOURCE");
    assert_refused(f, WITH_STORE("{table: done, columns: [key]}"), "not authorized");
}

/* ---- once, whatever dies when ---- */

static bool is_empty(void *user)
{
    struct fixture *f = user;

    return broker_messages(f->broker, f->queue) == 0;
}

/* The worker dies between a commit and the acks that follow it, at the first, the second, ... such
 * point of each life, until everything is done: each payment is there once. */
static void killed_between_commit_and_ack(void **state)
{
    enum { COUNT = 300 };
    struct fixture *f = *state;
    int deaths;

    f->worker = sink(f, "", "");
    publish_payments(f, 0, COUNT);
    publish_payments(f, 0, COUNT);
    deaths = worker_live_and_die(f->worker, 8, is_empty, f);
    print_message("killed %d times between commit and ack\n", deaths);
    assert_true(deaths > 10);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*)||' '||sum(cents) FROM payment", "300 44850");
    assert_answer(f, "SELECT count(*) FROM done", "300");
}

/* Two workers on one queue and one file: each payment once, and both did their part. */
static void two_workers_share_the_file(void **state)
{
    enum { COUNT = 600 };
    struct fixture *f = *state;
    char *store;

    f->worker = sink(f, ", shared: true", "");
    f->second = sink(f, ", shared: true", "");
    store = text("store.path=%s/store.db", f->worker->directory);
    worker_consume(f->worker, 1);
    WORKER_RUN(f->second, store);
    assert_true(WAIT_FOR(worker_logged(f->second, "consuming queue=", NULL) > 0, PATIENCE_MS));
    publish_payments(f, 0, COUNT);
    publish_payments(f, 0, COUNT);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(worker_stop(f->second), 0);
    assert_true(worker_number(f->second, "stopped", "ack") != 0);
    assert_answer(f, "SELECT count(*)||' '||sum(cents) FROM payment", "600 179700");
    assert_answer(f, "SELECT count(*) FROM done", "600");
    assert_answer(f, "SELECT count(*) FROM claim", "0");
    free(store);
}

/* ---- batches ---- */

static void in_batches(const char *lines)
{
    more = lines;
}

static int one_by_one(void **state)
{
    more = "";
    return fixture_teardown(state);
}

/* What does not fit is rejected, alone, with all that it wrote; the rest of its batch is there. */
static void of_a_batch_each_fits_or_not(void **state)
{
    struct fixture *f = *state;

    in_batches("    batch: {size: 10, wait: 1s}\n");
    f->worker = sink(f, "", "");
    publish_payments(f, 0, 6);
    publish(f, "m1", "{");
    publish(f, "m2",
            "[{\"id\":\"d\",\"amount\":{\"cents\":1}},{\"id\":\"p0\",\"amount\":"
            "{\"cents\":1}}]");
    publish_payments(f, 0, 1);
    publish_payments(f, 6, 7);
    worker_consume(f->worker, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*)||' '||sum(cents) FROM payment", "7 21");
    assert_answer(f, "SELECT count(*) FROM done", "7");
    assert_true(WAIT_FOR(worker_logged(f->worker, "the body is no JSON", NULL) > 0, PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "UNIQUE constraint", NULL) > 0, PATIENCE_MS));
}

/* As one by one: whatever dies between a commit and the acks behind it, each is there once. */
static void batches_killed_between_commit_and_ack(void **state)
{
    enum { COUNT = 300 };
    struct fixture *f = *state;
    int deaths;

    in_batches("    batch: {size: 10, wait: 20ms}\n");
    f->worker = sink(f, "", "");
    publish_payments(f, 0, COUNT);
    publish_payments(f, 0, COUNT);
    deaths = worker_live_and_die(f->worker, 3, is_empty, f);
    print_message("killed %d times between commit and ack\n", deaths);
    assert_true(deaths > 5);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*)||' '||sum(cents) FROM payment", "300 44850");
    assert_answer(f, "SELECT count(*) FROM done", "300");
}

static void limit_files(struct fixture *f, rlim_t most)
{
    struct rlimit limit = {most, RLIM_INFINITY};

    assert_int_equal(prlimit(proc_pid(f->worker->proc), RLIMIT_FSIZE, &limit, NULL), 0);
}

/* While the file cannot grow nothing is acked and no attempt is spent; then everything is there. */
static void a_full_disk_acks_nothing(void **state)
{
    struct fixture *f = *state;

    f->worker = sink(f, "", "");
    worker_consume(f->worker, 1);
    publish_payments(f, 0, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    limit_files(f, 8192);
    publish_payments(f, 1, 10);
    if (!WAIT_FOR(worker_logged(f->worker, "store failed", NULL) > 0, PATIENCE_MS))
        fail_msg("no word of it:\n%s", proc_stderr(f->worker->proc));
    assert_int_equal(broker_unacked(f->broker, f->queue), 9);
    limit_files(f, RLIM_INFINITY);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*) FROM payment", "10");
    assert_int_equal(worker_logged(f->worker, "dead", NULL), 0);
}

/* While another process keeps the file locked likewise. */
static void a_locked_file_acks_nothing(void **state)
{
    struct fixture *f = *state;
    sqlite3 *sqlite = NULL;
    char *path;

    f->worker = sink(f, ", busy_timeout: 10ms", "");
    worker_consume(f->worker, 1);
    path = worker_path(f->worker, "store.db");
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    sqlite3_busy_timeout(sqlite, 5000);
    assert_int_equal(sqlite3_exec(sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    publish_payments(f, 0, 10);
    assert_true(WAIT_FOR(worker_logged(f->worker, "store failed", "locked") > 0, PATIENCE_MS));
    assert_int_equal(broker_unacked(f->broker, f->queue), 10);
    assert_int_equal(sqlite3_exec(sqlite, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_answer(f, "SELECT count(*) FROM payment", "10");
    sqlite3_close(sqlite);
    free(path);
}

#define TEST(name) FIXTURE_TEST(name, "classic")
#define BATCH_TEST(name)                                                                           \
    cmocka_unit_test_prestate_setup_teardown(name, fixture_setup, one_by_one,                      \
                                             (void *)(uintptr_t)(const char *)"classic")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_becomes_a_row),
        TEST(what_does_not_fit_is_rejected),
        TEST(what_cannot_work_is_refused),
        TEST(killed_between_commit_and_ack),
        TEST(two_workers_share_the_file),
        TEST(a_full_disk_acks_nothing),
        TEST(a_locked_file_acks_nothing),
        BATCH_TEST(of_a_batch_each_fits_or_not),
        BATCH_TEST(batches_killed_between_commit_and_ack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
