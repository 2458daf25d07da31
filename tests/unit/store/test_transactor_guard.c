/* test_transactor_guard.c - what a handler may do with the connection that it shares with warren,
 * and what it may not.
 */
#include <sqlite3.h>

#include "base/log.h"
#include "store/writer/transactor_guard.h"
#include "support/test.h"

static struct sqlite3 *sqlite;
static struct transactor_guard guard;

static int begin(void **state)
{
    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite,
                                  "CREATE TABLE done (id, done); CREATE TABLE spool (id);"
                                  "CREATE INDEX spool_refused ON spool (id);"
                                  "CREATE TABLE bill (id INTEGER PRIMARY KEY, done);",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    transactor_guard_init(&guard, sqlite);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sqlite3_close(sqlite);
    return 0;
}

static void assert_refused(const char *sql)
{
    int code = sqlite3_exec(sqlite, sql, NULL, NULL, NULL);

    if (code != SQLITE_AUTH)
        fail_msg("%s: %d, %s", sql, code, sqlite3_errmsg(sqlite));
}

static void assert_allowed(const char *sql)
{
    if (sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(sqlite));
}

/* As in an attempt from now on; harmless to repeat. */
static void begin_attempt(void)
{
    transactor_guard_own(&guard);
    assert_allowed(sqlite3_get_autocommit(sqlite) ? "BEGIN" : "");
    transactor_guard_enter(&guard);
}

/* In `open` and in an attempt alike: nothing by which warren would lose its file or its rows. */
static void what_is_refused(void **state)
{
    static const char *const sql[] = {
        "PRAGMA application_id = 1234",
        "PRAGMA main.user_version = 7",
        "PRAGMA journal_mode(delete)",
        "PRAGMA synchronous = OFF",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = 1",
        "SELECT * FROM bill; PRAGMA temp_store = 1",
        "INSERT INTO done VALUES (1, 2)",
        "UPDATE DONE SET id = 3",
        "DELETE FROM spool",
        "DROP TABLE done",
        "DROP INDEX spool_refused",
        "ALTER TABLE done ADD COLUMN more",
        "ALTER TABLE spool RENAME TO other",
        "CREATE INDEX mine ON done (id)",
        "CREATE TRIGGER mine AFTER INSERT ON done BEGIN SELECT 1; END",
        "CREATE TEMP TRIGGER mine AFTER INSERT ON spool BEGIN SELECT 1; END",
        ("CREATE TRIGGER mine AFTER INSERT ON bill BEGIN DELETE FROM done; END;"
         "INSERT INTO bill VALUES (9, 9)"),
        "CREATE TEMP TABLE done (id)",
        "CREATE TEMP VIEW spool AS SELECT 1",
        "CREATE TABLE claim (id)",
        "SAVEPOINT warren_message",
    };

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof sql / sizeof *sql; k++) {
            assert_refused(sql[k]);
            assert_allowed("DROP TRIGGER IF EXISTS mine");
        }
        begin_attempt();
    }
}

/* In `open` and in an attempt alike: what handlers need, and what looks like the above. */
static void what_is_allowed(void **state)
{
    static const char *const sql[] = {
        "PRAGMA foreign_keys = ON",
        "PRAGMA table_info(done)",
        "PRAGMA application_id",
        "PRAGMA user_version",
        "PRAGMA journal_mode",
        "PRAGMA integrity_check(1)",
        "SELECT count(*) FROM done, pragma_table_info('spool')",
        "INSERT INTO bill VALUES (NULL, 1)",
        "UPDATE bill SET done = 2",
        "DELETE FROM bill",
        "CREATE TABLE more (id INTEGER PRIMARY KEY AUTOINCREMENT, spool)",
        "CREATE INDEX claim ON more (spool)",
        "CREATE TRIGGER done AFTER INSERT ON more BEGIN DELETE FROM bill; END",
        "INSERT INTO more VALUES (NULL, 1)",
        "ALTER TABLE more ADD COLUMN done",
        "CREATE VIEW mine AS SELECT * FROM done",
        "CREATE TEMP TABLE scratch (id)",
        "ANALYZE",
        "DROP VIEW mine; DROP TABLE more; DROP TABLE scratch",
        "SAVEPOINT mine; RELEASE mine",
    };

    (void)state;
    assert_allowed("BEGIN; COMMIT"); /* in `open` */
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof sql / sizeof *sql; k++)
            assert_allowed(sql[k]);
        begin_attempt();
    }
}

/* What was refused is known by its name: SQLite's own words do not say it. */
static void it_is_named(void **state)
{
    (void)state;
    assert_refused("PRAGMA application_id = 1");
    assert_string_equal(guard.refused, "sets PRAGMA application_id");
    assert_refused("CREATE TRIGGER mine AFTER INSERT ON spool BEGIN SELECT 1; END");
    assert_string_equal(guard.refused, "changes warren's own table spool");
    begin_attempt();
    assert_refused("COMMIT");
    assert_string_equal(guard.refused, "is COMMIT");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_refused),
        TEST(what_is_allowed),
        TEST(it_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
