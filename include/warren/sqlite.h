/* sqlite.h - for a transactional handler: the SQLite transaction in which the key of its message is
 * noted (middleware idempotency, store.path; docs/idempotency.md).
 *
 * Include <sqlite3.h> to use the connections, and link the plugin with -lsqlite3.
 * NULL in place of a test or a job is not looked for; nor is it for a child of fork(2), whose
 * parent has the connection open: there warren_job_sqlite() is NULL, and no connection is to be
 * used. Thread: a worker's, while it runs `handle`, but for what says otherwise.
 */
#ifndef WARREN_SQLITE_H
#define WARREN_SQLITE_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A connection of SQLite's. */
struct sqlite3;
struct warren_test;

/**
 * For a transactional handler: the transaction in which the key of this message will be noted. What
 * is written with it is committed together with the key, and only then is the message acked: both
 * are there, or neither is, whatever dies when. Any outcome but WARREN_ACK rolls back what was
 * written.
 *
 * From the first call in an attempt until `handle` returns, the handler has the connection for
 * itself, and no other handler or process can write the file: do what takes long before. BEGIN,
 * COMMIT, ROLLBACK, ATTACH, changes of warren's own tables and PRAGMAs that set something are
 * refused with SQLITE_AUTH, the latter two also in `open` (docs/idempotency.md); savepoints of your
 * own are fine. A statement that has SQLite roll everything back (OR ROLLBACK, RAISE(ROLLBACK))
 * undoes the attempt: later ones in it fail, and WARREN_ACK then means WARREN_RETRY, which counts.
 * So it does if foreign keys that are checked late are not satisfied when `handle` returns. What is
 * published now goes into the publisher's spool, which must be in the same file (spool.path): it is
 * sent once all is committed. Statements may be prepared in `open` and used for ever; they are
 * reset when `handle` returns. A result is SQLITE_FULL or SQLITE_IOERR: answer WARREN_RETRY.
 *
 * @return the connection, the same in every attempt; NULL: it cannot be had now, answer
 *         WARREN_RETRY, which will not count as a failed attempt. Since: 0.1
 */
WARREN_API struct sqlite3 *warren_job_sqlite(struct warren_job *job);

/**
 * In the `open` of a transactional handler: what warren_job_sqlite() will return, to create tables
 * and prepare statements with. In `handle` it may be used only as said there; finalize the
 * statements in `close`. In `warren invoke` and testing.h it is one in memory.
 *
 * @return NULL: the handler is not transactional, or @info is NULL. Thread: main. Since: 0.1
 */
WARREN_API struct sqlite3 *warren_subscription_sqlite(const struct warren_subscription_info *info);

/**
 * The database in memory that a transactional handler is given in a test (testing.h), in place of
 * the worker's store: empty before its `open`, and with what acked attempts wrote. Look into it
 * between attempts. Keys are remembered elsewhere.
 *
 * @return NULL: the handler is not transactional. Lives until warren_test_free(). Thread: the
 *         test's. Since: 0.1
 */
WARREN_API struct sqlite3 *warren_test_sqlite(struct warren_test *test);

#ifdef __cplusplus
}
#endif
#endif
