/* schema.c - see schema.h. */
#include "store/db/database_private.h"

#include <inttypes.h>
#include <stdio.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"

/* Each step is tried in one transaction with the row that says so. */
static const char *const steps[] = {
    /* 1: what was done. A row is appended and never changed; there is no index, for one on random
     * keys costs a page for each row (see key_index.h). */
    "CREATE TABLE done ("
    " id INTEGER PRIMARY KEY,"
    " key BLOB NOT NULL,"        /* 16 bytes: hash of scope and key */
    " at INTEGER NOT NULL,"      /* ms since 1970 */
    " outcome INTEGER NOT NULL," /* enum warren_outcome */
    " result BLOB);"             /* what the handler replied; NULL: nothing */
    /* Who works on what, where several processes share the file. Few rows, for they go when the
     * work is done. */
    "CREATE TABLE claim ("
    " key BLOB PRIMARY KEY,"
    " owner INTEGER NOT NULL,"
    " until INTEGER NOT NULL," /* ms since boot */
    " lease INTEGER NOT NULL"  /* ms */
    ") WITHOUT ROWID;"
    "CREATE TABLE setting ("
    " name TEXT PRIMARY KEY,"
    " value NOT NULL"
    ") WITHOUT ROWID;",

    /* 2: messages that wait for the broker, in the order in which they came. */
    "CREATE TABLE spool ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL," /* ms since 1970 */
    " message_id TEXT NOT NULL,"
    " exchange TEXT NOT NULL,"
    " routing_key TEXT NOT NULL,"
    " flags INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL," /* what counts against the bound */
    " delay INTEGER NOT NULL," /* seconds in the delay queues */
    " delay_to TEXT NOT NULL,"
    " refused TEXT," /* why the broker will not have it; NULL: to be sent */
    " properties BLOB NOT NULL,"
    " body BLOB NOT NULL);"
    "CREATE INDEX spool_refused ON spool (id) WHERE refused IS NOT NULL;",
};

#define STEPS ((int64_t)(sizeof steps / sizeof *steps))

int64_t schema_newest(void)
{
    return STEPS;
}

static enum warren_status read_version(struct database *database, int64_t *ret_version,
                                       struct warren_error *error)
{
    int64_t has_table;
    enum warren_status status =
        database_number(database, "SELECT count(*) FROM sqlite_master WHERE name='warren_schema'",
                        &has_table, error);

    *ret_version = 0;
    if (status != WARREN_OK || has_table == 0)
        return status;
    return database_number(database, "SELECT coalesce(max(version), 0) FROM warren_schema",
                           ret_version, error);
}

/* One that this warren does not know: of a newer warren, or what a damaged page makes of it. */
static enum warren_status refuse_version(struct database *database, int64_t version,
                                         struct warren_error *error)
{
    int64_t is_sound = 0;
    enum warren_status status = WARREN_OK;

    if (version > 0)
        status = database_number(database, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)",
                                 &is_sound, error);
    if (status != WARREN_OK)
        return status;
    if (!is_sound)
        return database_fail(database, SQLITE_CORRUPT, "cannot be read", error);
    return error_set(error, WARREN_ECONFIG,
                     "%s was written by a newer warren: its schema has version %" PRId64
                     ", and warren %s knows up to %" PRId64 "; run that newer one",
                     database_path(database), version, WARREN_VERSION, STEPS);
}

enum warren_status schema_look(struct database *database, int64_t *ret_version,
                               struct warren_error *error)
{
    int64_t id;
    int64_t tables;
    enum warren_status status = database_number(database, "PRAGMA application_id", &id, error);

    if (status == WARREN_OK)
        status = database_number(database, "SELECT count(*) FROM sqlite_master", &tables, error);
    if (status != WARREN_OK)
        return status;
    if (id != SCHEMA_APPLICATION_ID && (id != 0 || tables != 0))
        return error_set(error, WARREN_ECONFIG,
                         "%s is a database of another application; give warren a file of its own",
                         database_path(database));
    status = read_version(database, ret_version, error);
    if (status == WARREN_OK && (*ret_version < 0 || *ret_version > STEPS))
        return refuse_version(database, *ret_version, error);
    return status;
}

static enum warren_status take_step(struct database *database, int64_t version,
                                    struct warren_error *error)
{
    char row[160];
    enum warren_status status = database_run(database, steps[version - 1], error);

    if (status != WARREN_OK)
        return status;
    snprintf(row, sizeof row, "INSERT INTO warren_schema VALUES (%" PRId64 ", %" PRId64 ", '%s')",
             version, clock_wall_ms(), WARREN_VERSION);
    return database_run(database, row, error);
}

static enum warren_status take_steps(struct database *database, struct warren_error *error)
{
    int64_t version;
    char sql[64];
    enum warren_status status = schema_look(database, &version, error);

    if (status != WARREN_OK || version == STEPS)
        return status;
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
    status = database_run(database, sql, error);
    if (status == WARREN_OK)
        status = database_run(database,
                              "CREATE TABLE IF NOT EXISTS warren_schema (version INTEGER PRIMARY"
                              " KEY, at INTEGER NOT NULL, warren TEXT NOT NULL)",
                              error);
    while (status == WARREN_OK && version < STEPS)
        status = take_step(database, ++version, error);
    return status;
}

enum warren_status schema_migrate(struct database *database, struct warren_error *error)
{
    enum warren_status status = database_begin(database, error);

    if (status == WARREN_OK)
        status = take_steps(database, error);
    if (status == WARREN_OK)
        return database_commit(database, error);
    database_rollback(database);
    return status;
}
