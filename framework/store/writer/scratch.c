/* scratch.c - see scratch.h. */
#include "store/writer/scratch.h"

#include <stdlib.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/writer/transactor_guard.h"

struct scratch {
    struct sqlite3 *sqlite;
    struct transactor_guard guard;
};

enum warren_status scratch_new(struct scratch **ret_scratch, struct warren_error *error)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);

    if (!scratch || sqlite3_open(":memory:", &scratch->sqlite) != SQLITE_OK) {
        scratch_free(scratch);
        return error_set(error, WARREN_ENOMEM, "no memory for a database");
    }
    transactor_guard_init(&scratch->guard, scratch->sqlite);
    *ret_scratch = scratch;
    return WARREN_OK;
}

void scratch_free(struct scratch *scratch)
{
    if (!scratch)
        return;
    sqlite3_close_v2(scratch->sqlite);
    free(scratch);
}

struct sqlite3 *scratch_handle(struct scratch *scratch)
{
    return scratch->sqlite;
}

bool scratch_enter(struct scratch *scratch)
{
    if (scratch->guard.user == TRANSACTOR_HANDLER)
        return true;
    transactor_guard_own(&scratch->guard);
    if (sqlite3_exec(scratch->sqlite, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return false;
    scratch->guard.is_lost = false;
    transactor_guard_enter(&scratch->guard);
    return true;
}

const char *scratch_leave(struct scratch *scratch, bool keep)
{
    const char *why = NULL;

    if (scratch->guard.user == TRANSACTOR_HANDLER && scratch->guard.is_lost)
        why = TRANSACTOR_ROLLED_BACK;
    transactor_guard_leave(&scratch->guard);
    if (!why && keep && transactor_guard_has_orphans(&scratch->guard))
        why = TRANSACTOR_ORPHANS;
    if (!why && keep && !sqlite3_get_autocommit(scratch->sqlite) &&
        sqlite3_exec(scratch->sqlite, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        why = TRANSACTOR_ROLLED_BACK;
    if (!sqlite3_get_autocommit(scratch->sqlite))
        sqlite3_exec(scratch->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return why;
}
