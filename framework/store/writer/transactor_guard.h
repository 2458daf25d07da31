/* transactor_guard.h - what a handler may not do with the connection of the transactor: end its
 * transaction, touch warren's own tables, set what the connection or the file is by a PRAGMA, or
 * leave a statement half done, or an authorizer, a progress handler, hooks, limits, settings that
 * protect the file or deferred foreign keys for the next one. What is refused is logged. What it
 * cannot be kept from is to have SQLite roll everything back (OR ROLLBACK, RAISE(ROLLBACK), a table
 * that is full): this is noted. Thread: of who has the connection.
 */
#ifndef WARREN_STORE_TRANSACTOR_GUARD_H
#define WARREN_STORE_TRANSACTOR_GUARD_H

#include <stdbool.h>

/** The savepoint of each message. */
#define TRANSACTOR_SAVEPOINT "warren_message"
/** The error of a handler whose statement did that. */
#define TRANSACTOR_ROLLED_BACK "a statement of the handler's own did it"
#define TRANSACTOR_ORPHANS     "a deferred FOREIGN KEY constraint is not satisfied at its end"

/** Of SQLite's, by number from 0 on; and settings of a connection. */
#define TRANSACTOR_GUARD_LIMITS   12
#define TRANSACTOR_GUARD_SWITCHES 5

struct sqlite3;

/** Who has the connection. */
enum transactor_user {
    TRANSACTOR_OPENING, /* handlers' `open`: transactions of their own are fine */
    TRANSACTOR_ITSELF,
    TRANSACTOR_HANDLER
};

struct transactor_guard {
    struct sqlite3 *sqlite;
    enum transactor_user user;
    bool is_lost;      /* the transaction was rolled back, as a whole. Reset by who begins one */
    bool is_deferring; /* PRAGMA defer_foreign_keys was set */
    bool is_heard;     /* it was asked about a statement */
    char refused[128]; /* most recently */
    /* as the connection was opened */
    int limits[TRANSACTOR_GUARD_LIMITS];
    int switches[TRANSACTOR_GUARD_SWITCHES];
    int busy_timeout_ms;
};

/** From now on @sqlite asks the guard, which stays where it is, about each statement it compiles.
 */
void transactor_guard_init(struct transactor_guard *guard, struct sqlite3 *sqlite);

/** The transactor is at work. */
void transactor_guard_own(struct transactor_guard *guard);
/** A handler is. */
void transactor_guard_enter(struct transactor_guard *guard);
/** It was: statements that it left between two rows are reset, and so is what it set of the
 * connection. */
void transactor_guard_leave(struct transactor_guard *guard);
/** Do rows wait for others that they refer to? With them nothing could be committed. */
bool transactor_guard_has_orphans(const struct transactor_guard *guard);
/** Its foreign keys were looked at: the next handler's are deferred no more. */
void transactor_guard_restore(struct transactor_guard *guard);

#endif
