/* database_place.c - a file that is deleted, moved or replaced while it is in use. */
#include <string.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/db/database_private.h"

/* A page of SQLite's has at least so many bytes, and a file of ours has one from its beginning. */
#define PAGE_MIN 512

bool database_watch(struct database *database, const char *suffix)
{
    struct file_place *place = &database->places[database->place_count];

    if (database->place_count == DATABASE_PLACES)
        return true;
    if (!file_place_take(place, database->file, suffix))
        return false;
    database->place_count++;
    return true;
}

/* A link may come to lead elsewhere: then the next process has another file. */
static bool watch_links(struct database *database)
{
    struct file_place *place = &database->places[database->place_count];

    if (!file_place_take(place, database->path, ""))
        return false;
    if (place->path && strcmp(place->path, database->file) != 0)
        database->place_count++;
    else
        file_place_done(place);
    return true;
}

bool database_watch_all(struct database *database)
{
    return database_watch(database, "") && database_watch(database, "-wal") &&
           database_watch(database, "-shm") && watch_links(database);
}

static const char *trouble_of(const struct database *database, size_t i)
{
    return file_place_trouble(&database->places[i], i == 0 ? PAGE_MIN : 0);
}

enum warren_status database_in_place(struct database *database, struct warren_error *error)
{
    database->is_displaced = false;
    for (size_t i = 0; i < database->place_count; i++) {
        const char *trouble = trouble_of(database, i);

        if (!trouble)
            continue;
        database->is_displaced = true;
        return error_set(error, WARREN_EIO,
                         "%s %s while it was in use: nothing is taken for done that is written "
                         "into it now. Put it back, and work goes on; or stop, put a backup in "
                         "the place of %s, and start anew",
                         database->places[i].path, trouble, database->path);
    }
    return WARREN_OK;
}

void database_rescue(struct database *database)
{
    if (database->is_displaced)
        sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* SQLite would remove the log by its name, which may be another file's by now; but what is in it
 * must not be taken for that file's. */
static void leave_log(struct database *database)
{
    sqlite3_busy_timeout(database->sqlite, 0);
    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void database_part(struct database *database)
{
    if (database->place_count > 0 && trouble_of(database, 0))
        leave_log(database);
    for (size_t i = 0; i < database->place_count; i++)
        file_place_done(&database->places[i]);
}
