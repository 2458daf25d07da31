/* test_testing_batch.c - <warren/testing.h> with a handler of batches: what becomes of each
 * message, and of what they write and publish.
 */
#include <sqlite3.h>

#include <warren/batch.h>
#include <warren/sqlite.h>
#include <warren/testing.h>

#include "support/test.h"

static struct warren_test *test;
static unsigned calls;

static bool body_is(struct warren_job *job, const char *text)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(text) && memcmp(body.data, text, body.len) == 0;
}

/* Does what the body of each says; all others are acked. */
static enum warren_outcome obey(struct warren_batch *batch, void *state)
{
    (void)state;
    calls++;
    for (size_t i = 0; i < warren_batch_count(batch); i++) {
        struct warren_job *job = warren_batch_job(batch, i);
        struct warren_message message = {.body = warren_job_body(job)};

        if (body_is(job, "panic"))
            warren_panic(job, "it panicked");
        if (body_is(job, "publish") && warren_job_publish(job, "", "out", &message) != WARREN_OK)
            return WARREN_RETRY;
        if (body_is(job, "reject") || body_is(job, "retry")) {
            warren_job_fail(job, "as it says");
            warren_batch_set(batch, i, body_is(job, "reject") ? WARREN_REJECT : WARREN_RETRY);
        }
    }
    return WARREN_ACK;
}

/* The same one by one. */
static enum warren_outcome obey_one(struct warren_job *job, void *state)
{
    (void)state;
    return body_is(job, "reject") ? WARREN_REJECT : WARREN_ACK;
}

static enum warren_status rows_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    struct sqlite3 *database = warren_subscription_sqlite(info);

    (void)error;
    *state = database;
    return sqlite3_exec(database, "CREATE TABLE row (id TEXT UNIQUE)", NULL, NULL, NULL) ==
                   SQLITE_OK
               ? WARREN_OK
               : WARREN_EIO;
}

/* Inserts each body. Of one that is there already the message is rejected, what it wrote before is
 * undone, and the others go on. */
static enum warren_outcome write_rows(struct warren_batch *batch, void *state)
{
    for (size_t i = 0; i < warren_batch_count(batch); i++) {
        struct warren_job *job = warren_batch_job(batch, i);
        struct sqlite3 *database = warren_job_sqlite(job);
        char sql[128];

        if (database != state)
            return WARREN_RETRY;
        snprintf(sql, sizeof sql,
                 "INSERT INTO row VALUES ('%zu of %zu'); INSERT INTO row VALUES ('%.*s')", i,
                 warren_batch_count(batch), (int)warren_job_body(job).len,
                 (const char *)warren_job_body(job).data);
        if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
            warren_batch_set(batch, i, WARREN_REJECT);
    }
    return WARREN_ACK;
}

static const struct warren_handler obeying = {
    .name = "obey", .handle = obey_one, .handle_batch = obey};
static const struct warren_handler only_batches = {.name = "obey", .handle_batch = obey};
static const struct warren_handler rows = {
    .name = "rows", .open = rows_open, .handle_batch = write_rows, .transactional = true};

static void open_with(const struct warren_handler *handler, const char *chain)
{
    struct warren_test_options options = {.size = sizeof options, .bare = handler, .chain = chain};
    struct warren_error error;

    calls = 0;
    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void deliver(const char *id, const char *body)
{
    const struct warren_test_message message = {
        .message = {.properties.message_id = id, .body = warren_text(body)}};
    struct warren_error error;

    if (warren_test_deliver_also(test, &message, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static const struct warren_test_attempt *run(size_t most, size_t expected)
{
    size_t count;
    const struct warren_test_attempt *attempts = warren_test_run_batch(test, most, &count);

    assert_int_equal(count, expected);
    return attempts;
}

static int end(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* Each has its outcome, its error and its dead letter; who failed comes again, with the others that
 * are left. */
static void each_has_its_own_end(void **state)
{
    const struct warren_test_attempt *attempts;

    (void)state;
    open_with(&obeying, "[retry: {max_attempts: 2, policy: constant, initial_delay: 1s, jitter: "
                        "none}, recover]");
    deliver("a", "ack");
    deliver("b", "reject");
    deliver("c", "retry");
    deliver("d", "reject");
    attempts = run(100, 4);
    assert_int_equal(calls, 1);
    assert_int_equal(attempts[0].outcome, WARREN_ACK);
    assert_null(attempts[0].error);
    assert_int_equal(attempts[2].outcome, WARREN_RETRY);
    assert_int_equal(attempts[2].retry_after_ms, 1000);
    assert_int_equal(attempts[2].left, 1);
    for (size_t i = 1; i < 4; i += 2) {
        assert_int_equal(attempts[i].message, i);
        assert_int_equal(attempts[i].outcome, WARREN_REJECT);
        assert_string_equal(attempts[i].error, "as it says");
        assert_string_equal(attempts[i].dead_letter->message.properties.message_id,
                            i == 1 ? "b" : "d");
    }
    attempts = run(100, 1);
    assert_int_equal(attempts[0].message, 2);
    assert_int_equal(attempts[0].attempt, 2);
    assert_int_equal(attempts[0].outcome, WARREN_REJECT);
    assert_string_equal(attempts[0].dead_letter->reason, "attempts");
    assert_int_equal(attempts[0].left, 0);
}

/* No more than are asked for; the next ones are of the next batch. One at a time goes, too. */
static void as_many_as_are_asked_for(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};

    (void)state;
    open_with(&obeying, "[]");
    for (int i = 0; i < 5; i++)
        deliver(ids[i], "ack");
    assert_int_equal(run(2, 2)[1].message, 1);
    assert_int_equal(warren_test_run(test)->message, 2);
    assert_int_equal(calls, 1); /* that was `handle` */
    assert_int_equal(run(7, 2)[0].message, 3);
    end(state);
    open_with(&only_batches, "[]");
    deliver("a", "reject");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REJECT);
    assert_int_equal(calls, 1);
}

/* What the broker refuses of one that published fails that one alone. */
static void what_one_publishes_is_its_own(void **state)
{
    const struct warren_test_attempt *attempts;

    (void)state;
    open_with(&obeying, "[retry, recover]");
    deliver("a", "ack");
    deliver("b", "publish");
    warren_test_publishing(test, WARREN_OK, WARREN_NACKED);
    attempts = run(10, 2);
    assert_int_equal(attempts[0].outcome, WARREN_ACK);
    assert_int_equal(attempts[1].outcome, WARREN_RETRY);
    assert_true(attempts[1].forgiven);
    assert_int_equal(attempts[1].published_count, 1);
}

static void a_panic_is_of_one(void **state)
{
    const struct warren_test_attempt *attempts;

    (void)state;
    open_with(&obeying, "[retry: {max_attempts: 2}, recover]");
    deliver("a", "ack");
    deliver("b", "panic");
    deliver("c", "ack");
    attempts = run(10, 3);
    assert_int_equal(attempts[1].outcome, WARREN_RETRY);
    assert_false(attempts[1].forgiven);
    assert_string_equal(attempts[1].error, "it panicked");
    assert_true(attempts[0].forgiven && attempts[2].forgiven);
    for (int i = 0; i < 10 && attempts[0].left > 0; i++) {
        size_t count;

        attempts = warren_test_run_batch(test, 10, &count);
    }
    assert_int_equal(attempts[0].left, 0);
}

/* A duplicate does not come to the handler, and the other of one key waits for the first. */
static void keys_are_of_each(void **state)
{
    const struct warren_test_attempt *attempts;

    (void)state;
    open_with(&obeying, "[retry, idempotency, recover]");
    deliver("a", "ack");
    deliver("a", "ack");
    deliver("b", "ack");
    attempts = run(10, 3);
    assert_int_equal(attempts[0].outcome, WARREN_ACK);
    assert_int_equal(attempts[1].outcome, WARREN_RETRY);
    assert_true(attempts[1].forgiven);
    assert_int_equal(attempts[2].outcome, WARREN_ACK);
    attempts = run(10, 1);
    assert_true(attempts[0].duplicate);
    assert_int_equal(calls, 1);
}

static void expect_rows(const char *expected)
{
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_prepare_v2(warren_test_sqlite(test),
                                        "SELECT group_concat(id, ',') FROM row", -1, &statement,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    sqlite3_finalize(statement);
}

static void what_fails_leaves_nothing(void **state)
{
    const struct warren_test_attempt *attempts;

    (void)state;
    open_with(&rows, "[retry, idempotency, recover]");
    deliver("a", "x");
    deliver("b", "x");
    deliver("c", "y");
    attempts = run(10, 3);
    assert_int_equal(attempts[0].outcome, WARREN_ACK);
    assert_int_equal(attempts[1].outcome, WARREN_REJECT);
    assert_int_equal(attempts[2].outcome, WARREN_ACK);
    expect_rows("0 of 3,x,2 of 3,y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_has_its_own_end, end),
        cmocka_unit_test_teardown(as_many_as_are_asked_for, end),
        cmocka_unit_test_teardown(what_one_publishes_is_its_own, end),
        cmocka_unit_test_teardown(a_panic_is_of_one, end),
        cmocka_unit_test_teardown(keys_are_of_each, end),
        cmocka_unit_test_teardown(what_fails_leaves_nothing, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
