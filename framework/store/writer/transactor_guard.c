/* transactor_guard.c - see transactor_guard.h. */
#include "store/writer/transactor_guard.h"

#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "base/log.h"

/* SQLite's default: the log goes into the file when it has this many pages. */
#define CHECKPOINT_PAGES 1000

/* SQLite says only that it is "not authorized". Told once, not for each message. */
static int refuse(struct transactor_guard *guard, const char *what, const char *name)
{
    char refused[sizeof guard->refused];

    snprintf(refused, sizeof refused, "%s %s", what, name);
    if (strcmp(refused, guard->refused) != 0) {
        memcpy(guard->refused, refused, sizeof refused);
        log_warn("a transactional handler's statement is refused: it %s", refused);
    }
    return SQLITE_DENY;
}

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && sqlite3_stricmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

static int look_at_table(struct transactor_guard *guard, const char *name)
{
    static const char *const own[] = {"done", "claim", "setting", "spool", "warren_schema", NULL};

    return name && is_one_of(name, own) ? refuse(guard, "changes warren's own table", name)
                                        : SQLITE_OK;
}

/* Asking for a value is harmless; so are those that have an argument only to say what is asked. */
static int look_at_pragma(struct transactor_guard *guard, const char *name, const char *value)
{
    static const char *const harmless[] = {"analysis_limit",
                                           "case_sensitive_like",
                                           "defer_foreign_keys",
                                           "foreign_key_check",
                                           "foreign_key_list",
                                           "foreign_keys",
                                           "index_info",
                                           "index_list",
                                           "index_xinfo",
                                           "integrity_check",
                                           "optimize",
                                           "quick_check",
                                           "recursive_triggers",
                                           "table_info",
                                           "table_list",
                                           "table_xinfo",
                                           NULL};

    /* It is set when it is compiled, and for the transaction, which is shared. */
    if (value && sqlite3_stricmp(name, "defer_foreign_keys") == 0)
        guard->is_deferring = true;
    return value && !is_one_of(name, harmless) ? refuse(guard, "sets PRAGMA", name) : SQLITE_OK;
}

/* Called when a statement is compiled, also again after a change of the schema: that of warren's
 * own is then let through. Tables in `temp` count, for their names hide those in the file. */
static int authorize(void *user, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    struct transactor_guard *guard = user;

    (void)database;
    (void)trigger;
    guard->is_heard = true;
    if (guard->user == TRANSACTOR_ITSELF)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_TRANSACTION:
        return guard->user == TRANSACTOR_HANDLER ? refuse(guard, "is", first) : SQLITE_OK;
    case SQLITE_ATTACH:
        return guard->user == TRANSACTOR_HANDLER ? refuse(guard, "is", "ATTACH") : SQLITE_OK;
    case SQLITE_DETACH:
        return guard->user == TRANSACTOR_HANDLER ? refuse(guard, "is", "DETACH") : SQLITE_OK;
    case SQLITE_SAVEPOINT:
        return second && sqlite3_stricmp(second, TRANSACTOR_SAVEPOINT) == 0
                   ? refuse(guard, "uses the savepoint", second)
                   : SQLITE_OK;
    case SQLITE_PRAGMA:
        return look_at_pragma(guard, first, second);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_TABLE:
        return look_at_table(guard, first);
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_ALTER_TABLE: /* first is the database; of the others, their own name */
        return look_at_table(guard, second);
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

/* There is one of each: a handler may have set its own, and a timer that it forgot would interrupt
 * what is not its own. */
static void take_hooks(struct transactor_guard *guard)
{
    sqlite3_commit_hook(guard->sqlite, refuse_commit, guard);
    sqlite3_rollback_hook(guard->sqlite, note_rollback, guard);
    sqlite3_update_hook(guard->sqlite, NULL, NULL);
    sqlite3_progress_handler(guard->sqlite, 0, NULL, NULL);
}

/* ---- what the connection was set to ---- */

/* Those that protect the file. Triggers, views and foreign keys are a handler's own affair. */
static const int switches[TRANSACTOR_GUARD_SWITCHES] = {
    SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_WRITABLE_SCHEMA,
    SQLITE_DBCONFIG_RESET_DATABASE, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE};

/* SQLite has no other way to ask for it. */
static int busy_timeout_ms(struct sqlite3 *sqlite)
{
    sqlite3_stmt *statement = NULL;
    int ms = 0;

    if (sqlite3_prepare_v2(sqlite, "PRAGMA busy_timeout", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        ms = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return ms;
}

static void note_settings(struct transactor_guard *guard)
{
    for (int i = 0; i < TRANSACTOR_GUARD_LIMITS; i++)
        guard->limits[i] = sqlite3_limit(guard->sqlite, i, -1);
    for (int i = 0; i < TRANSACTOR_GUARD_SWITCHES; i++)
        sqlite3_db_config(guard->sqlite, switches[i], -1, &guard->switches[i]);
    guard->busy_timeout_ms = busy_timeout_ms(guard->sqlite);
}

/* Some assignments each, without a call to the system. */
static void restore_settings(struct transactor_guard *guard)
{
    for (int i = 0; i < TRANSACTOR_GUARD_LIMITS; i++)
        sqlite3_limit(guard->sqlite, i, guard->limits[i]);
    for (int i = 0; i < TRANSACTOR_GUARD_SWITCHES; i++)
        sqlite3_db_config(guard->sqlite, switches[i], guard->switches[i], NULL);
    sqlite3_busy_timeout(guard->sqlite, guard->busy_timeout_ms);
    sqlite3_wal_autocheckpoint(guard->sqlite, CHECKPOINT_PAGES);
}

/* ---- who has the connection ---- */

static void reset_all(struct transactor_guard *guard)
{
    struct sqlite3_stmt *statement = NULL;

    while ((statement = sqlite3_next_stmt(guard->sqlite, statement)))
        if (sqlite3_stmt_busy(statement))
            sqlite3_reset(statement);
}

/* Is it still authorize() that is asked? SQLite does not say, so something is compiled. To set it
 * anew each time would have every statement compiled again: so also those that were compiled
 * without it. */
static void take_authorizer(struct transactor_guard *guard)
{
    sqlite3_stmt *statement = NULL;

    guard->is_heard = false;
    sqlite3_prepare_v2(guard->sqlite, "COMMIT", -1, &statement, NULL);
    sqlite3_finalize(statement);
    if (!guard->is_heard)
        sqlite3_set_authorizer(guard->sqlite, authorize, guard);
}

/* Of a handler, or of one that opens: nothing of what it set stays. */
static void take_back(struct transactor_guard *guard)
{
    reset_all(guard); /* a statement that is half done reads, and for ever */
    guard->user = TRANSACTOR_ITSELF;
    restore_settings(guard);
    take_hooks(guard);
    take_authorizer(guard);
}

void transactor_guard_init(struct transactor_guard *guard, struct sqlite3 *sqlite)
{
    *guard = (struct transactor_guard){.sqlite = sqlite, .user = TRANSACTOR_OPENING};
    sqlite3_set_authorizer(sqlite, authorize, guard);
    take_hooks(guard);
    note_settings(guard);
}

void transactor_guard_own(struct transactor_guard *guard)
{
    if (guard->user == TRANSACTOR_OPENING)
        take_back(guard);
    guard->user = TRANSACTOR_ITSELF;
}

void transactor_guard_enter(struct transactor_guard *guard)
{
    take_hooks(guard);
    guard->user = TRANSACTOR_HANDLER;
}

void transactor_guard_leave(struct transactor_guard *guard)
{
    take_back(guard);
}

bool transactor_guard_has_orphans(const struct transactor_guard *guard)
{
    int orphans = 0;
    int highest;

    sqlite3_db_status(guard->sqlite, SQLITE_DBSTATUS_DEFERRED_FKS, &orphans, &highest, 0);
    return orphans != 0;
}

void transactor_guard_restore(struct transactor_guard *guard)
{
    if (guard->is_deferring)
        sqlite3_exec(guard->sqlite, "PRAGMA defer_foreign_keys = OFF", NULL, NULL, NULL);
    guard->is_deferring = false;
}
