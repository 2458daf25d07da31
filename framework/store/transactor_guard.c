/* transactor_guard.c - see transactor_guard.h. */
#include "store/transactor_guard.h"

#include <stddef.h>

#include <sqlite3.h>

static bool is_own_table(const char *name)
{
    static const char *const names[] = {"done", "claim", "setting", "spool", "warren_schema"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name && sqlite3_stricmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Called when a statement is compiled, also again after a change of the schema: that of warren's
 * own is then let through. */
static int authorize(void *user, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    const struct transactor_guard *guard = user;

    (void)database;
    (void)trigger;
    if (guard->user == TRANSACTOR_ITSELF)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return guard->user == TRANSACTOR_HANDLER ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_SAVEPOINT:
        return second && sqlite3_stricmp(second, TRANSACTOR_SAVEPOINT) == 0 ? SQLITE_DENY
                                                                            : SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_DROP_TABLE:
        return is_own_table(first) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_ALTER_TABLE: /* first is the database */
        return is_own_table(second) ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

/* Once its transaction was rolled back, each statement of a handler would be one of its own. */
static int refuse_commit(void *user)
{
    const struct transactor_guard *guard = user;

    return guard->user == TRANSACTOR_HANDLER;
}

static void note_rollback(void *user)
{
    struct transactor_guard *guard = user;

    guard->is_lost = true;
}

void transactor_guard_init(struct transactor_guard *guard, struct sqlite3 *sqlite)
{
    guard->sqlite = sqlite;
    guard->user = TRANSACTOR_OPENING;
    guard->is_lost = false;
    sqlite3_set_authorizer(sqlite, authorize, guard);
    sqlite3_commit_hook(sqlite, refuse_commit, guard);
    sqlite3_rollback_hook(sqlite, note_rollback, guard);
}

void transactor_guard_own(struct transactor_guard *guard)
{
    guard->user = TRANSACTOR_ITSELF;
}

void transactor_guard_enter(struct transactor_guard *guard)
{
    guard->user = TRANSACTOR_HANDLER;
}

void transactor_guard_leave(struct transactor_guard *guard)
{
    struct sqlite3_stmt *statement = NULL;

    while ((statement = sqlite3_next_stmt(guard->sqlite, statement)))
        if (sqlite3_stmt_busy(statement))
            sqlite3_reset(statement);
    guard->user = TRANSACTOR_ITSELF;
}
