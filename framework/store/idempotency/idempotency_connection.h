/* idempotency_connection.h - one way to the store's file, also for whoever writes keys in
 * transactions of its own (writer/transactor.h). Thread: that of who has the connection. Elsewhere:
 * the store (idempotency_sqlite.h).
 */
#ifndef WARREN_STORE_IDEMPOTENCY_CONNECTION_H
#define WARREN_STORE_IDEMPOTENCY_CONNECTION_H

#include "store/db/database.h"
#include "store/idempotency/idempotency.h"

enum idempotency_statement {
    GET_DONE,
    ADD_DONE,
    READ_DONE,
    PURGE_DONE,
    FIRST_DONE,
    GET_CLAIM,
    PUT_CLAIM,
    DROP_CLAIM,
    RENEW_CLAIM,
    STATEMENT_COUNT
};

/** One way to the file. */
struct idempotency_connection {
    struct idempotency_sqlite *s;
    struct database *database;
    struct sqlite3_stmt *statements[STATEMENT_COUNT];
};

/** @store is one of idempotency_sqlite_open(). */
static inline struct idempotency_sqlite *idempotency_sqlite_of(struct idempotency_store *store)
{
    return (struct idempotency_sqlite *)(void *)store;
}

/** The statements, on a connection whose store and database are set. */
enum warren_status idempotency_rows_prepare(struct idempotency_connection *c,
                                            struct warren_error *error);
void idempotency_rows_done(struct idempotency_connection *c);

/** Take the turn and begin to write, with everything read that others have appended. WARREN_EIO,
 * too, if the file is not in its place (database_in_place()); WARREN_ECLOSED: database_take_turn().
 */
enum warren_status idempotency_begin(struct idempotency_connection *c, struct warren_error *error);
/** Roll back what was not committed, give the turn back. */
void idempotency_end(struct idempotency_connection *c);

/** In the turn: the number that the next appended row gets. */
int64_t idempotency_next_row(const struct idempotency_connection *c);
/** What was appended from @row on is undone. */
void idempotency_set_next_row(struct idempotency_connection *c, int64_t row);

/**
 * Append @claim, unless others have taken it over. In the writer's turn.
 *
 * @strict   taken over, it is not appended; else only if they have completed it
 * @ret_row  where it stands; 0: it was not appended
 */
enum warren_status idempotency_add(struct idempotency_connection *c,
                                   struct idempotency_claim *claim, bool strict, int64_t *ret_row,
                                   struct warren_error *error);
/** What was appended is committed: it can be found, and is claimed no more. Rows ascend. */
void idempotency_added(struct idempotency_sqlite *s, const struct idempotency_claim *claim,
                       int64_t row);

#endif
