/* spool.c - see spool.h. What is removed unsent: spool_oldest.c. */
#include "store/spool/spool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/input_file.h"

/* What a row costs beside its parts: its header, its cells in pages, its part of the tree. */
#define ROW_BYTES 96

enum { APPEND, REMOVE, REFUSE, COPY, STATEMENTS };

static const char *const statement_texts[STATEMENTS] = {
    [APPEND] = ("INSERT INTO spool (at, message_id, exchange, routing_key, flags, bytes, delay,"
                " delay_to, properties, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [REMOVE] = "DELETE FROM spool WHERE id = ?",
    [REFUSE] = "UPDATE spool SET refused = ? WHERE id = ?",
    [COPY] = ("INSERT INTO spool (at, message_id, exchange, routing_key, flags, bytes, delay,"
              " delay_to, properties, body) SELECT ?2, message_id, exchange, routing_key, flags,"
              " bytes, delay, delay_to, properties, body FROM spool"
              " WHERE id = ?1 AND refused IS NOT NULL"),
};

struct spool {
    struct database *database;
    int lock_fd; /* -1: not its owner */
    bool joined; /* the database is somebody else's */
    sqlite3_stmt *statements[STATEMENTS];
};

int64_t spool_message_bytes(const struct spool_message *message)
{
    return (int64_t)(ROW_BYTES + message->message_id.len + message->exchange.len +
                     message->routing_key.len + message->delay_to.len + message->properties.len +
                     message->body.len);
}

/* ---- opening ---- */

static enum warren_status lock(const struct spool *spool, int fd, const char *name, bool *ret_taken,
                               struct warren_error *error)
{
    char owner[16] = "";

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return error_set(error, WARREN_EIO, "cannot lock %s: %s", name, strerror(errno));
        *ret_taken = true;
        if (pread(fd, owner, sizeof owner - 1, 0) < 0)
            owner[0] = '\0';
        return error_set(error, WARREN_EIO,
                         "%s: process %s sends the messages of this spool; a spool has one "
                         "publisher at a time",
                         database_path(spool->database), owner[0] ? owner : "?");
    }
    snprintf(owner, sizeof owner, "%d", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, strlen(owner), 0) != (ssize_t)strlen(owner))
        return error_set(error, errno == ENOSPC ? WARREN_EFULL : WARREN_EIO, "cannot write %s: %s",
                         name, strerror(errno));
    return WARREN_OK;
}

/* The kernel ends the lock with the process, however that ends; so the file may stay. */
enum warren_status spool_claim(struct spool *spool, bool *ret_taken, struct warren_error *error)
{
    char name[PATH_MAX];
    enum warren_status status;
    int fd = private_file_beside(database_file(spool->database), "-spool-lock", name);

    *ret_taken = false;
    if (fd < 0)
        return error_set(error, WARREN_EIO, "cannot open %s: %s", name, strerror(errno));
    status = lock(spool, fd, name, ret_taken, error);
    if (status == WARREN_OK && !database_watch(spool->database, "-spool-lock"))
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status != WARREN_OK) {
        close(fd);
        return status;
    }
    spool->lock_fd = fd;
    descriptors_add(fd, -1, "the lock of the spool");
    return WARREN_OK;
}

void spool_disclaim(struct spool *spool)
{
    if (spool->lock_fd < 0)
        return;
    database_unwatch(spool->database, "-spool-lock");
    flock(spool->lock_fd, LOCK_UN); /* or else a child of fork() that lives would keep it */
    descriptors_close(spool->lock_fd);
    spool->lock_fd = -1;
}

static enum warren_status prepare_all(struct spool *spool, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (int i = 0; status == WARREN_OK && i < STATEMENTS; i++)
        status =
            database_prepare(spool->database, statement_texts[i], &spool->statements[i], error);
    return status;
}

/* @database  NULL: it is opened */
static enum warren_status make(struct database *database, const struct database_options *options,
                               struct spool **ret_spool, struct warren_error *error)
{
    struct spool *spool = calloc(1, sizeof *spool);
    enum warren_status status = WARREN_OK;

    if (!spool)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    spool->lock_fd = -1;
    spool->database = database;
    spool->joined = database != NULL;
    if (!database)
        status = database_open(options, &spool->database, error);
    if (status == WARREN_OK && (!options || !options->read_only))
        status = prepare_all(spool, error);
    if (status != WARREN_OK) {
        spool_close(spool);
        return status;
    }
    *ret_spool = spool;
    return WARREN_OK;
}

enum warren_status spool_open(const struct database_options *options, struct spool **ret_spool,
                              struct warren_error *error)
{
    return make(NULL, options, ret_spool, error);
}

enum warren_status spool_join(struct database *database, struct spool **ret_spool,
                              struct warren_error *error)
{
    return make(database, NULL, ret_spool, error);
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    spool_disclaim(spool);
    for (int i = 0; i < STATEMENTS; i++)
        database_finalize(spool->statements[i]);
    if (!spool->joined)
        database_close(spool->database);
    free(spool);
}

struct database *spool_database(struct spool *spool)
{
    return spool->database;
}

/* The highest id that ever was. */
#define SEQUENCE "(SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'spool')"

/* One statement sees one state of the file. */
#define COUNT                                                                                      \
    "SELECT (SELECT count(*) FROM spool WHERE refused IS NULL),"                                   \
    " (SELECT count(*) FROM spool WHERE refused IS NOT NULL),"                                     \
    " (SELECT coalesce(sum(" SPOOL_ROW_BYTES "), 0) FROM spool),"                                  \
    " (SELECT coalesce((SELECT at FROM spool ORDER BY id LIMIT 1), 0)),"                           \
    " (SELECT min(max(coalesce(" SEQUENCE ", 0), 0), 9223372036854775806))"

enum warren_status spool_count(struct spool *spool, struct spool_totals *totals,
                               struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = database_prepare(spool->database, COUNT, &statement, error);
    int code;

    if (status != WARREN_OK)
        return status;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *totals = (struct spool_totals){.messages = sqlite3_column_int64(statement, 0),
                                        .refused = sqlite3_column_int64(statement, 1),
                                        .bytes = sqlite3_column_int64(statement, 2),
                                        .oldest_ms = sqlite3_column_int64(statement, 3),
                                        .last_id = sqlite3_column_int64(statement, 4)};
    else
        status = database_fail(spool->database, code, "cannot be read", error);
    database_finalize(statement);
    return status;
}

enum warren_status spool_count_refused(struct spool *spool, int64_t *ret_refused,
                                       struct warren_error *error)
{
    return database_number(spool->database, "SELECT count(*) FROM spool WHERE refused IS NOT NULL",
                           ret_refused, error);
}

enum warren_status spool_oldest_to_send(struct spool *spool, int64_t after, int64_t *ret_at_ms,
                                        struct warren_error *error)
{
    sqlite3_stmt *statement;
    enum warren_status status = database_prepare(
        spool->database,
        "SELECT at FROM spool WHERE id > ? AND refused IS NULL ORDER BY id LIMIT 1", &statement,
        error);
    int code;

    *ret_at_ms = 0;
    if (status != WARREN_OK)
        return status;
    sqlite3_bind_int64(statement, 1, after);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_at_ms = sqlite3_column_int64(statement, 0);
    else if (code != SQLITE_DONE)
        status = database_fail(spool->database, code, "cannot be read", error);
    database_finalize(statement);
    return status;
}

/* ---- writing ---- */

/* Bytes of no length have no address, which would be NULL to SQLite. */
static void bind_text(sqlite3_stmt *statement, int at, struct warren_bytes bytes)
{
    sqlite3_bind_text64(statement, at, bytes.len > 0 ? bytes.data : "", bytes.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

static void bind_blob(sqlite3_stmt *statement, int at, struct warren_bytes bytes)
{
    sqlite3_bind_blob64(statement, at, bytes.len > 0 ? bytes.data : "", bytes.len, SQLITE_STATIC);
}

enum warren_status spool_append(struct spool *spool, struct spool_message *message,
                                struct warren_error *error)
{
    sqlite3_stmt *statement = spool->statements[APPEND];
    enum warren_status status;

    message->at_ms = clock_wall_ms();
    sqlite3_bind_int64(statement, 1, message->at_ms);
    bind_text(statement, 2, message->message_id);
    bind_text(statement, 3, message->exchange);
    bind_text(statement, 4, message->routing_key);
    sqlite3_bind_int64(statement, 5, message->flags);
    sqlite3_bind_int64(statement, 6, spool_message_bytes(message));
    sqlite3_bind_int64(statement, 7, message->delay_s);
    bind_text(statement, 8, message->delay_to);
    bind_blob(statement, 9, message->properties);
    bind_blob(statement, 10, message->body);
    status = database_step(spool->database, statement, error);
    sqlite3_clear_bindings(statement);
    if (status == WARREN_OK)
        message->id = sqlite3_last_insert_rowid(database_handle(spool->database));
    return status;
}

/* Did the statement that was executed last change a row? */
static bool has_changed(struct spool *spool)
{
    return sqlite3_changes(database_handle(spool->database)) > 0;
}

enum warren_status spool_remove(struct spool *spool, int64_t id, bool *ret_done,
                                struct warren_error *error)
{
    enum warren_status status;

    sqlite3_bind_int64(spool->statements[REMOVE], 1, id);
    status = database_step(spool->database, spool->statements[REMOVE], error);
    if (ret_done)
        *ret_done = status == WARREN_OK && has_changed(spool);
    return status;
}

enum warren_status spool_refuse(struct spool *spool, int64_t id, const char *why,
                                struct warren_error *error)
{
    sqlite3_stmt *statement = spool->statements[REFUSE];

    sqlite3_bind_text(statement, 1, why, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, id);
    return database_step(spool->database, statement, error);
}

/* Under a new id, for a publisher that has the file is past the old one. */
enum warren_status spool_unrefuse(struct spool *spool, int64_t id, bool *ret_done,
                                  struct warren_error *error)
{
    sqlite3_stmt *statement = spool->statements[COPY];
    enum warren_status status;

    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, clock_wall_ms());
    status = database_step(spool->database, statement, error);
    *ret_done = status == WARREN_OK && has_changed(spool);
    return *ret_done ? spool_remove(spool, id, NULL, error) : status;
}

/* ---- reading ---- */

static struct warren_bytes column_bytes(sqlite3_stmt *statement, int column)
{
    struct warren_bytes bytes;

    bytes.data = sqlite3_column_blob(statement, column);
    bytes.len = (size_t)sqlite3_column_bytes(statement, column);
    return bytes;
}

/* Rows of a file that is damaged or was edited have anything in them. @last: the id before it */
static const char *fault_of(sqlite3_stmt *statement, const struct spool_message *message,
                            int64_t last, bool *ret_misnumbered)
{
    int64_t delay_s = sqlite3_column_int64(statement, 6);
    int64_t newest = sqlite3_column_type(statement, 11) == SQLITE_NULL
                         ? INT64_MAX - 1
                         : sqlite3_column_int64(statement, 11);

    *ret_misnumbered = message->id < 1 || message->id <= last || message->id > newest;
    if (*ret_misnumbered)
        return "its number is none of this file's";
    if (message->at_ms < 0 || message->at_ms > SPOOL_AT_MAX_MS)
        return "its time is out of range";
    if (message->message_id.len > SPOOL_NAME_MAX || message->exchange.len > SPOOL_NAME_MAX ||
        message->routing_key.len > SPOOL_NAME_MAX || message->delay_to.len > SPOOL_NAME_MAX)
        return "a name has more than 255 bytes";
    if (sqlite3_column_int64(statement, 5) & ~(int64_t)(SPOOL_OPTIONAL | SPOOL_TO_QUEUE))
        return "it has unknown flags";
    if (delay_s < 0 || delay_s > SPOOL_DELAY_MAX_S)
        return "its delay is out of range";
    if (delay_s > 0 && (message->delay_to.len == 0 ||
                        memchr(message->delay_to.data, '\0', message->delay_to.len) != NULL))
        return "its delay leads nowhere";
    return NULL;
}

static void read_row(sqlite3_stmt *statement, bool bodies, int64_t last,
                     struct spool_message *message)
{
    *message = (struct spool_message){
        .id = sqlite3_column_int64(statement, 0),
        .at_ms = sqlite3_column_int64(statement, 1),
        .message_id = column_bytes(statement, 2),
        .exchange = column_bytes(statement, 3),
        .routing_key = column_bytes(statement, 4),
        .flags = (uint32_t)sqlite3_column_int64(statement, 5),
        .delay_s = (uint32_t)sqlite3_column_int64(statement, 6),
        .delay_to = column_bytes(statement, 7),
        .refused = (const char *)sqlite3_column_text(statement, 8),
    };
    if (bodies) {
        message->properties = column_bytes(statement, 9);
        message->body = column_bytes(statement, 10);
    } else {
        message->properties.len = (size_t)sqlite3_column_int64(statement, 9);
        message->body.len = (size_t)sqlite3_column_int64(statement, 10);
    }
    message->unsound = fault_of(statement, message, last, &message->misnumbered);
}

enum warren_status spool_read(struct spool *spool, int64_t after, enum spool_which which,
                              bool bodies, spool_message_fn *each, void *user,
                              struct warren_error *error)
{
    static const char *const conditions[] = {
        [SPOOL_TO_SEND] = "AND refused IS NULL",
        [SPOOL_REFUSED] = "AND refused IS NOT NULL",
        [SPOOL_ALL] = "",
    };
    struct spool_message message;
    sqlite3_stmt *statement;
    enum warren_status status;
    int64_t last = after;
    char sql[400];
    int code;

    snprintf(sql, sizeof sql,
             "SELECT id, at, message_id, exchange, routing_key, flags, delay, delay_to, refused, "
             "%s, " SEQUENCE " FROM spool WHERE id > ? %s ORDER BY id",
             bodies ? "properties, body" : "length(properties), length(body)", conditions[which]);
    status = database_prepare(spool->database, sql, &statement, error);
    if (status != WARREN_OK)
        return status;
    sqlite3_bind_int64(statement, 1, after);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        read_row(statement, bodies, last, &message);
        if (!message.misnumbered)
            last = message.id;
        if (!each(user, &message))
            break;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = database_fail(spool->database, code, "cannot be read", error);
    database_finalize(statement);
    return status;
}
