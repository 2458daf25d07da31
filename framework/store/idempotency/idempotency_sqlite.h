/* idempotency_sqlite.h - the store of handled keys in a SQLite file.
 *
 * What is done is a row appended to a table without an index of its own; which row has a key is
 * known in memory (key_index.h), which is filled at opening by reading the table once. So a message
 * costs one appended row, however many there are.
 *
 * Used by one process, claims are in memory alone: with the process they are gone, and so are the
 * handlers. Shared, claims are rows as well; each process reads what others have appended since it
 * last looked, and takes over the claims of those that died (owner_lock.h) or whose lease ended.
 * Times of leases are of the monotonic clock; those of retention of the wall clock, where a step
 * backwards makes rows stay longer.
 * Thread: see idempotency.h. Failures are those of database_fail().
 */
#ifndef WARREN_STORE_IDEMPOTENCY_SQLITE_H
#define WARREN_STORE_IDEMPOTENCY_SQLITE_H

#include "base/clock.h"
#include "store/db/database.h"
#include "store/idempotency/idempotency.h"

struct idempotency_sqlite_options {
    struct database_options database; /* read_only and must_exist false */
    bool shared;                      /* with other processes */
    size_t keys_max;                  /* rows kept, 1 to KEY_INDEX_KEYS_MAX */
    struct clock *clock;
    int64_t (*wall_ms)(void); /* clock_wall_ms; tests have another */
};

/** WARREN_OK; else as database_open() and owner_lock_new(), with @error. */
enum warren_status idempotency_sqlite_open(const struct idempotency_sqlite_options *options,
                                           struct idempotency_store **ret_store,
                                           struct warren_error *error);

#endif
