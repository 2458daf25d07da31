/* idempotency_rows.c - the rows of the tables `done` and `claim`, and transactions on them. */
#include <inttypes.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "store/db/turn.h"
#include "store/idempotency/idempotency_sqlite_private.h"

/* Claims keep their lease beside its end, so that they can be prolonged all at once. */
static const char *const texts[STATEMENT_COUNT] = {
    [GET_DONE] = "SELECT key, at, outcome, result FROM done WHERE id = ?1",
    [ADD_DONE] = "INSERT INTO done VALUES (?1, ?2, ?3, ?4, ?5)",
    [READ_DONE] = "SELECT id, key FROM done WHERE id >= ?1 ORDER BY id",
    /* Never the newest one: the numbers go on from there. */
    [PURGE_DONE] = ("DELETE FROM done WHERE id < ?1 AND id < (SELECT max(id) FROM done)"
                    " AND (id < ?2 OR at <= ?3)"),
    [FIRST_DONE] = "SELECT id, at FROM done ORDER BY id LIMIT 1",
    [GET_CLAIM] = "SELECT owner, until FROM claim WHERE key = ?1",
    [PUT_CLAIM] = "REPLACE INTO claim VALUES (?1, ?2, ?3, ?4)",
    [DROP_CLAIM] = "DELETE FROM claim WHERE key = ?1 AND owner = ?2",
    [RENEW_CLAIM] = "UPDATE claim SET until = ?2 + lease WHERE owner = ?1",
};

enum warren_status idempotency_rows_prepare(struct idempotency_connection *c,
                                            struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < STATEMENT_COUNT; i++)
        status = database_prepare(c->database, texts[i], &c->statements[i], error);
    return status;
}

void idempotency_rows_done(struct idempotency_connection *c)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        database_finalize(c->statements[i]);
}

int64_t idempotency_next_row(const struct idempotency_connection *c)
{
    return c->s->next_row;
}

void idempotency_set_next_row(struct idempotency_connection *c, int64_t row)
{
    c->s->next_row = row;
}

static void bind_key(sqlite3_stmt *statement, int place, const struct idempotency_key *key)
{
    sqlite3_bind_blob(statement, place, key->bytes, sizeof key->bytes, SQLITE_STATIC);
}

static enum warren_status end_reading(struct idempotency_connection *c, sqlite3_stmt *statement,
                                      int code, struct warren_error *error)
{
    sqlite3_reset(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return WARREN_OK;
    return database_fail(c->database, code, "cannot be read", error);
}

/* ---- done ---- */

enum warren_status idempotency_rows_read(struct idempotency_connection *c,
                                         struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[READ_DONE];
    int code;

    sqlite3_bind_int64(statement, 1, c->s->next_row);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(statement, 0);
        struct idempotency_key key = {{0}};

        if (sqlite3_column_bytes(statement, 1) == (int)sizeof key.bytes)
            memcpy(key.bytes, sqlite3_column_blob(statement, 1), sizeof key.bytes);
        pthread_mutex_lock(&c->s->mutex);
        key_index_raise(c->s->index, row + 1 - (int64_t)c->s->keys_max);
        key_index_put(c->s->index, idempotency_key_hash(&key), row);
        pthread_mutex_unlock(&c->s->mutex);
        c->s->next_row = row + 1;
    }
    return end_reading(c, statement, code, error);
}

static bool is_too_old(const struct idempotency_connection *c, int64_t at, int64_t retention_ms)
{
    return retention_ms > 0 && c->s->wall_ms() - at >= retention_ms;
}

/* No memory: without the result the message is still known. */
static void copy_result(sqlite3_stmt *statement, int column, struct idempotency_claim *claim)
{
    int len = sqlite3_column_bytes(statement, column);

    claim->result = NULL;
    claim->result_len = 0;
    if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
        return;
    claim->result = malloc((size_t)len + 1);
    if (!claim->result)
        return;
    if (len > 0)
        memcpy(claim->result, sqlite3_column_blob(statement, column), (size_t)len);
    claim->result_len = (size_t)len;
}

enum warren_status idempotency_rows_get(struct idempotency_connection *c, int64_t row,
                                        struct idempotency_claim *claim, bool *ret_is,
                                        struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[GET_DONE];
    int code;

    *ret_is = false;
    sqlite3_bind_int64(statement, 1, row);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == (int)sizeof claim->key.bytes &&
        memcmp(sqlite3_column_blob(statement, 0), claim->key.bytes, sizeof claim->key.bytes) == 0 &&
        !is_too_old(c, sqlite3_column_int64(statement, 1), claim->retention_ms)) {
        *ret_is = true;
        claim->outcome = (uint8_t)sqlite3_column_int(statement, 2);
        copy_result(statement, 3, claim);
    }
    return end_reading(c, statement, code, error);
}

enum warren_status idempotency_rows_add(struct idempotency_connection *c, int64_t row,
                                        const struct idempotency_claim *claim,
                                        struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[ADD_DONE];

    sqlite3_bind_int64(statement, 1, row);
    bind_key(statement, 2, &claim->key);
    sqlite3_bind_int64(statement, 3, c->s->wall_ms());
    sqlite3_bind_int(statement, 4, claim->outcome);
    if (claim->result && claim->result_len <= IDEMPOTENCY_RESULT_MAX)
        sqlite3_bind_blob(statement, 5, claim->result, (int)claim->result_len, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, 5);
    return database_step(c->database, statement, error);
}

/* The oldest one; is it to go? */
static enum warren_status look_at_first(struct idempotency_connection *c, int64_t keep_row,
                                        int64_t keep_ms, bool *ret_goes, struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[FIRST_DONE];
    int code = sqlite3_step(statement);
    int64_t at_ms;

    *ret_goes = false;
    if (code == SQLITE_ROW) {
        c->s->first_row = sqlite3_column_int64(statement, 0);
        at_ms = sqlite3_column_int64(statement, 1);
        *ret_goes = c->s->first_row < keep_row || at_ms <= keep_ms;
        pthread_mutex_lock(&c->s->mutex);
        if (*ret_goes && at_ms > keep_ms)
            c->s->forgot_ms = c->s->wall_ms() - at_ms;
        key_index_raise(c->s->index, c->s->first_row);
        pthread_mutex_unlock(&c->s->mutex);
    }
    return end_reading(c, statement, code, error);
}

enum warren_status idempotency_rows_purge(struct idempotency_connection *c, int64_t limit,
                                          int64_t *ret_gone, struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[PURGE_DONE];
    int64_t retention_ms = atomic_load(&c->s->retention_ms);
    int64_t keep_row = c->s->next_row - (int64_t)c->s->keys_max;
    int64_t keep_ms = retention_ms > 0 ? c->s->wall_ms() - retention_ms : INT64_MIN;
    bool goes;
    enum warren_status status = look_at_first(c, keep_row, keep_ms, &goes, error);

    *ret_gone = 0;
    if (status != WARREN_OK || !goes)
        return status;
    sqlite3_bind_int64(statement, 1, c->s->first_row + limit);
    sqlite3_bind_int64(statement, 2, keep_row);
    sqlite3_bind_int64(statement, 3, keep_ms);
    status = database_step(c->database, statement, error);
    if (status == WARREN_OK)
        *ret_gone = sqlite3_changes(database_handle(c->database));
    return status;
}

/* ---- claim ---- */

enum warren_status idempotency_rows_claim(struct idempotency_connection *c,
                                          struct idempotency_claim *claim,
                                          struct warren_error *error)
{
    sqlite3_stmt *get = c->statements[GET_CLAIM];
    sqlite3_stmt *put = c->statements[PUT_CLAIM];
    int64_t me = owner_lock_id(c->s->owner);
    int64_t now_ms = clock_now_ms(c->s->clock);
    enum warren_status status;
    bool is_taken = false;
    int code;

    bind_key(get, 1, &claim->key);
    code = sqlite3_step(get);
    if (code == SQLITE_ROW) {
        int64_t owner = sqlite3_column_int64(get, 0);

        /* One of this process is left over: what it is at was looked up before. */
        is_taken = owner != me && sqlite3_column_int64(get, 1) > now_ms &&
                   owner_lock_lives(c->s->owner, owner);
    }
    status = end_reading(c, get, code, error);
    claim->state = is_taken ? CLAIM_BUSY : CLAIM_NEW;
    if (status != WARREN_OK || is_taken)
        return status;
    bind_key(put, 1, &claim->key);
    sqlite3_bind_int64(put, 2, me);
    sqlite3_bind_int64(put, 3, now_ms + claim->lease_ms);
    sqlite3_bind_int64(put, 4, claim->lease_ms);
    return database_step(c->database, put, error);
}

enum warren_status idempotency_rows_unclaim(struct idempotency_connection *c,
                                            const struct idempotency_key *key, bool *ret_was_mine,
                                            struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[DROP_CLAIM];
    enum warren_status status;

    bind_key(statement, 1, key);
    sqlite3_bind_int64(statement, 2, owner_lock_id(c->s->owner));
    status = database_step(c->database, statement, error);
    *ret_was_mine = status == WARREN_OK && sqlite3_changes(database_handle(c->database)) > 0;
    return status;
}

enum warren_status idempotency_rows_renew(struct idempotency_connection *c,
                                          struct warren_error *error)
{
    sqlite3_stmt *statement = c->statements[RENEW_CLAIM];

    sqlite3_bind_int64(statement, 1, owner_lock_id(c->s->owner));
    sqlite3_bind_int64(statement, 2, clock_now_ms(c->s->clock));
    return database_step(c->database, statement, error);
}

/* ---- transactions ---- */

enum warren_status idempotency_begin(struct idempotency_connection *c, struct warren_error *error)
{
    enum warren_status status = database_take_turn(c->database, error);

    if (status != WARREN_OK)
        return status;
    status = database_in_place(c->database, error);
    if (status == WARREN_OK)
        status = database_begin(c->database, error);
    if (status == WARREN_OK && c->s->shared)
        status = idempotency_rows_read(c, error);
    if (status != WARREN_OK)
        idempotency_end(c);
    return status;
}

enum warren_status idempotency_commit(struct idempotency_connection *c, struct warren_error *error)
{
    enum warren_status status = database_in_place(c->database, error);

    return status == WARREN_OK ? database_commit(c->database, error) : status;
}

void idempotency_end(struct idempotency_connection *c)
{
    database_rollback(c->database);
    turn_give(database_turn(c->database));
}

enum warren_status idempotency_in_transaction(
    struct idempotency_sqlite *s,
    enum warren_status (*work)(struct idempotency_sqlite *s, void *arg, struct warren_error *error),
    void *arg, struct warren_error *error)
{
    enum warren_status status = idempotency_begin(&s->own, error);

    if (status != WARREN_OK)
        return status;
    status = work(s, arg, error);
    if (status == WARREN_OK)
        status = idempotency_commit(&s->own, error);
    idempotency_end(&s->own);
    return status;
}
