/* spool_oldest.c - removing messages unsent, the oldest first. */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "store/spool/spool.h"

/* The oldest that is not being sent. It is asked for anew each time, for it is removed then. */
#define OLDEST                                                                                     \
    "SELECT id, bytes, at, refused, message_id FROM spool"                                         \
    " WHERE id > ? OR refused IS NOT NULL ORDER BY id LIMIT 1"

/* As in AMQP. */
#define MESSAGE_ID_MAX 255
/* A code and the broker's words. */
#define REFUSED_MAX 300

struct oldest {
    int64_t id; /* 0: there is none */
    int64_t bytes;
    int64_t at_ms;
    bool is_refused;
    char refused[REFUSED_MAX + 1];
    size_t id_len;
    char message_id[MESSAGE_ID_MAX];
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
    oldest->id_len = len < MESSAGE_ID_MAX ? len : MESSAGE_ID_MAX;
    if (oldest->id_len > 0)
        memcpy(oldest->message_id, id, oldest->id_len);
}

static enum warren_status find_oldest(struct spool *spool, sqlite3_stmt *statement,
                                      struct oldest *oldest, struct warren_error *error)
{
    int code = sqlite3_step(statement);

    oldest->id = 0;
    if (code == SQLITE_ROW)
        read_oldest(statement, oldest);
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

    removed->messages++;
    removed->refused += oldest->is_refused;
    removed->bytes += oldest->bytes;
    if (removal->each)
        removal->each(removal->user, &message);
    return spool_remove(spool, oldest->id, NULL, error);
}

enum warren_status spool_remove_oldest(struct spool *spool, const struct spool_removal *removal,
                                       struct spool_removed *removed, struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = database_prepare(spool_database(spool), OLDEST, &statement, error);

    *removed = (struct spool_removed){0};
    if (status != WARREN_OK)
        return status;
    sqlite3_bind_int64(statement, 1, removal->after);
    while (status == WARREN_OK && removed->bytes < removal->bytes) {
        struct oldest oldest;

        status = find_oldest(spool, statement, &oldest, error);
        if (oldest.id == 0 || oldest.at_ms >= removal->before_ms)
            break;
        status = remove_one(spool, &oldest, removal, removed, error);
    }
    database_finalize(statement);
    return status;
}
