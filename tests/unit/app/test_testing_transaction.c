/* test_testing_transaction.c - <warren/testing.h> with a transactional handler: what it writes is
 * in memory, and there if it acked.
 */
#include <sqlite3.h>

#include <warren/sqlite.h>
#include <warren/testing.h>

#include "support/test.h"

static struct warren_test *test;

static enum warren_status ledger_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    struct sqlite3 *database = warren_subscription_sqlite(info);

    (void)error;
    *state = database;
    return sqlite3_exec(database,
                        "CREATE TABLE ledger (body TEXT UNIQUE);"
                        "CREATE TABLE page (of REFERENCES ledger (body)"
                        " DEFERRABLE INITIALLY DEFERRED); PRAGMA foreign_keys = ON",
                        NULL, NULL, NULL) == SQLITE_OK
               ? WARREN_OK
               : WARREN_EIO;
}

/* With body "undo" it has SQLite roll everything back and goes on, with "orphan" it leaves a row
 * that refers to none; else its first attempt fails
 * after it has written and published. */
static enum warren_outcome ledger_handle(struct warren_job *job, void *state)
{
    struct warren_message message = {.body = warren_text("booked")};
    struct sqlite3 *database = warren_job_sqlite(job);

    if (database != state ||
        sqlite3_exec(database, "INSERT INTO ledger VALUES ('x')", NULL, NULL, NULL) != SQLITE_OK)
        return WARREN_REJECT;
    if (warren_job_body(job).len == 4) {
        sqlite3_exec(database, "INSERT OR ROLLBACK INTO ledger VALUES ('x')", NULL, NULL, NULL);
        sqlite3_exec(warren_job_sqlite(job), "INSERT INTO ledger VALUES ('y')", NULL, NULL, NULL);
        return WARREN_ACK;
    }
    if (warren_job_body(job).len == 6)
        return sqlite3_exec(database, "INSERT INTO page VALUES ('z')", NULL, NULL, NULL) ==
                       SQLITE_OK
                   ? WARREN_ACK
                   : WARREN_REJECT;
    if (sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) != SQLITE_AUTH)
        return WARREN_REJECT;
    if (warren_job_publish(job, "", "bookings", &message) != WARREN_OK)
        return WARREN_RETRY;
    return warren_job_attempt(job) == 1 ? WARREN_RETRY : WARREN_ACK;
}

static const struct warren_handler ledger = {
    .name = "ledger", .open = ledger_open, .handle = ledger_handle, .transactional = true};

static int rows(void)
{
    sqlite3_stmt *statement = NULL;
    int count;

    assert_int_equal(sqlite3_prepare_v2(warren_test_sqlite(test), "SELECT count(*) FROM ledger", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void begin(const char *chain, const char *body)
{
    struct warren_test_options options = {.size = sizeof options, .bare = &ledger, .chain = chain};
    struct warren_test_message message = {
        .message = {.body = warren_text(body), .properties.message_id = "one"}};
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK ||
        warren_test_deliver(test, &message, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static int end(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* A failed attempt leaves nothing, an acked one its row; what it published is told of. Its key is
 * remembered: it writes no second row. */
static void written_if_acked(void **state)
{
    static const char *const chains[] = {"[retry, idempotency]", "[retry, idempotency, recover]"};

    for (int i = 0; i < 2; i++) {
        const struct warren_test_attempt *attempt;

        begin(chains[i], "");
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_int_equal(rows(), 0);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_ACK);
        assert_int_equal(attempt->published_count, 1);
        assert_int_equal(rows(), 1);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_ACK);
        assert_true(attempt->duplicate);
        assert_int_equal(rows(), 1);
        end(state);
    }
}

/* What the handler wrote was rolled back by a statement of its own, or cannot be committed: its ack
 * is a failed attempt, which retry counts. */
static void a_rolled_back_ack_is_a_failed_attempt(void **state)
{
    static const char *const bodies[] = {"undo", "orphan"};
    static const char *const reasons[] = {"a statement of the handler's", "FOREIGN KEY"};

    for (int i = 0; i < 2; i++) {
        const struct warren_test_attempt *attempt;

        begin("[retry: {max_attempts: 2}, idempotency, recover]", bodies[i]);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_non_null(strstr(attempt->error, "rolled back"));
        assert_non_null(strstr(attempt->error, reasons[i]));
        assert_int_equal(rows(), 0);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_REJECT);
        assert_int_equal(rows(), 0);
        end(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(written_if_acked, end),
        cmocka_unit_test_teardown(a_rolled_back_ack_is_a_failed_attempt, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
