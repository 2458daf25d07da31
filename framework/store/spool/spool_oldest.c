/* spool_oldest.c - removing messages unsent, the oldest first. */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "store/spool/spool.h"

/* The oldest that is not being sent, behind the last one: in a damaged file that may be there
 * still. It is asked for anew each time, for it is removed then. */
#define OLDEST                                                                                     \
    "SELECT id, " SPOOL_ROW_BYTES ", at, refused, message_id FROM spool"                           \
    " WHERE id > ?1 AND (id > ?2 OR refused IS NOT NULL) ORDER BY id LIMIT 1"

/* A code and the broker's words. */
#define REFUSED_MAX 300

struct oldest {
    int64_t id;
    int64_t bytes;
    int64_t at_ms;
    bool is_refused;
    char refused[REFUSED_MAX + 1];
    size_t id_len;
    char message_id[SPOOL_NAME_MAX];
};

static void read_oldest(sqlite3_stmt *statement, struct oldest *oldest)
{
    const unsigned char *refused = sqlite3_column_text(statement, 3);
    const void *id = sqlite3_column_blob(statement, 4);
    size_t len = (size_t)sqlite3_column_bytes(statement, 4);

    oldest->id = sqlite3_column_int64(statement, 0);
    oldest->bytes = sqlite3_column_int64(statement, 1);
    oldest->at_ms = sqlite3_column_int64(statement, 2);
    oldest->is_refused = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    snprintf(oldest->refused, sizeof oldest->refused, "%s", refused ? (const char *)refused : "");
    oldest->id_len = len < SPOOL_NAME_MAX ? len : SPOOL_NAME_MAX;
    if (oldest->id_len > 0)
        memcpy(oldest->message_id, id, oldest->id_len);
}

/* The first above oldest->id. @ret_found: there is one, and it does lie above that */
static enum warren_status find_oldest(struct spool *spool, sqlite3_stmt *statement,
                                      struct oldest *oldest, bool *ret_found,
                                      struct warren_error *error)
{
    int64_t last = oldest->id;
    int code;

    sqlite3_bind_int64(statement, 1, last);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        read_oldest(statement, oldest);
    *ret_found = code == SQLITE_ROW && oldest->id > last;
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return database_fail(spool_database(spool), code, "cannot be read", error);
    return WARREN_OK;
}

static enum warren_status remove_one(struct spool *spool, const struct oldest *oldest,
                                     const struct spool_removal *removal,
                                     struct spool_removed *removed, struct warren_error *error)
{
    struct spool_message message = {.id = oldest->id,
                                    .message_id = {oldest->message_id, oldest->id_len},
                                    .refused = oldest->is_refused ? oldest->refused : NULL};
    bool done;
    enum warren_status status = spool_remove(spool, oldest->id, &done, error);

    if (!done)
        return status; /* its number leads nowhere: it stays */
    removed->messages++;
    removed->refused += oldest->is_refused;
    removed->bytes += oldest->bytes;
    if (removal->each)
        removal->each(removal->user, &message);
    return status;
}

static bool has_sound_time(const struct oldest *oldest)
{
    return oldest->at_ms >= 0 && oldest->at_ms <= SPOOL_AT_MAX_MS;
}

enum warren_status spool_remove_oldest(struct spool *spool, const struct spool_removal *removal,
                                       struct spool_removed *removed, struct warren_error *error)
{
    struct oldest oldest = {.id = INT64_MIN};
    sqlite3_stmt *statement;
    bool found;
    enum warren_status status = database_prepare(spool_database(spool), OLDEST, &statement, error);

    *removed = (struct spool_removed){0};
    if (status != WARREN_OK)
        return status;
    sqlite3_bind_int64(statement, 2, removal->after);
    while (status == WARREN_OK && removed->bytes < removal->bytes) {
        status = find_oldest(spool, statement, &oldest, &found, error);
        if (!found)
            break;
        if (removal->before_ms < INT64_MAX && !has_sound_time(&oldest))
            continue;
        if (removal->before_ms < INT64_MAX && oldest.at_ms >= removal->before_ms)
            break;
        status = remove_one(spool, &oldest, removal, removed, error);
    }
    database_finalize(statement);
    return status;
}
