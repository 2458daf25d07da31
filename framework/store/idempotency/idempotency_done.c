/* idempotency_done.c - what is done, in the table `done`: looked up, appended, purged. */
#include <stdlib.h>

#include <sqlite3.h>

#include "store/idempotency/idempotency_private.h"

/* ---- looking up ---- */

/* Which rows may have the key? */
static size_t candidates(struct idempotency_store *store, const struct idempotency_key *key,
                         int64_t rows[IDEMPOTENCY_CANDIDATES])
{
    size_t cursor = 0;
    size_t count = 0;
    int64_t row;

    pthread_mutex_lock(&store->mutex);
    while (count < IDEMPOTENCY_CANDIDATES &&
           (row = key_index_find(store->index, idempotency_key_hash(key), &cursor)) != 0)
        rows[count++] = row;
    pthread_mutex_unlock(&store->mutex);
    return count;
}

static bool is_too_old(const struct idempotency_store *store, int64_t at, int64_t retention_ms)
{
    return retention_ms > 0 && clock_minus_ms(store->wall_ms(), at) >= retention_ms;
}

/* No memory: without the result the message is still known. */
static void copy_result(sqlite3_stmt *statement, int column, struct idempotency_claim *claim)
{
    int len = sqlite3_column_bytes(statement, column);

    claim->result = NULL;
    claim->result_len = 0;
    if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
        return;
    if (len > IDEMPOTENCY_RESULT_MAX)
        len = 0; /* nobody kept that: there was a reply, and it is lost */
    claim->result = malloc((size_t)len + 1);
    if (!claim->result)
        return;
    if (len > 0)
        memcpy(claim->result, sqlite3_column_blob(statement, column), (size_t)len);
    claim->result_len = (size_t)len;
}

static enum warren_status get(struct idempotency_rows *rows, int64_t row,
                              struct idempotency_claim *claim, bool *ret_is,
                              struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[GET_DONE];
    int code;

    *ret_is = false;
    sqlite3_bind_int64(statement, 1, row);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == (int)sizeof claim->key.bytes &&
        memcmp(sqlite3_column_blob(statement, 0), claim->key.bytes, sizeof claim->key.bytes) == 0 &&
        !is_too_old(rows->store, sqlite3_column_int64(statement, 1), claim->retention_ms)) {
        *ret_is = true;
        claim->outcome = (uint8_t)sqlite3_column_int(statement, 2);
        copy_result(statement, 3, claim);
    }
    return idempotency_end_reading(rows, statement, code, error);
}

enum warren_status idempotency_look_up(struct idempotency_rows *rows,
                                       struct idempotency_claim *claim, bool *ret_is_done,
                                       struct warren_error *error)
{
    int64_t found[IDEMPOTENCY_CANDIDATES];
    size_t count = candidates(rows->store, &claim->key, found);
    enum warren_status status = WARREN_OK;

    *ret_is_done = false;
    for (size_t i = 0; status == WARREN_OK && !*ret_is_done && i < count; i++)
        status = get(rows, found[i], claim, ret_is_done, error);
    return status;
}

/* ---- appending ---- */

enum warren_status idempotency_rows_read(struct idempotency_rows *rows, struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[READ_DONE];
    int code;

    sqlite3_bind_int64(statement, 1, rows->store->next_row);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(statement, 0);
        struct idempotency_key key = {{0}};

        if (row < rows->store->next_row || row > IDEMPOTENCY_ROW_MAX)
            continue; /* of a damaged file: it would take the numbers of those to come */
        if (sqlite3_column_bytes(statement, 1) == (int)sizeof key.bytes)
            memcpy(key.bytes, sqlite3_column_blob(statement, 1), sizeof key.bytes);
        pthread_mutex_lock(&rows->store->mutex);
        key_index_raise(rows->store->index, row + 1 - (int64_t)rows->store->keys_max);
        key_index_put(rows->store->index, idempotency_key_hash(&key), row);
        rows->store->next_row = rows->store->committed_row = row + 1;
        pthread_mutex_unlock(&rows->store->mutex);
    }
    return idempotency_end_reading(rows, statement, code, error);
}

enum warren_status idempotency_begin(struct idempotency_rows *rows, struct warren_error *error)
{
    rows->store->next_row = rows->store->committed_row;
    return rows->store->shared ? idempotency_rows_read(rows, error) : WARREN_OK;
}

/* Shared, the claim may have been lost: to somebody who may even be done by now. */
static enum warren_status is_still_to_add(struct idempotency_rows *rows,
                                          struct idempotency_claim *claim, bool strict,
                                          bool *ret_add, struct warren_error *error)
{
    struct idempotency_claim other = {.key = claim->key};
    enum warren_status status;
    bool was_mine;

    claim->overtaken = false;
    *ret_add = true;
    if (!rows->store->shared)
        return WARREN_OK;
    status = idempotency_rows_unclaim(rows, &claim->key, &was_mine, error);
    if (status != WARREN_OK || was_mine)
        return status;
    if (strict)
        claim->overtaken = true;
    else
        status = idempotency_look_up(rows, &other, &claim->overtaken, error);
    free(other.result);
    *ret_add = !claim->overtaken;
    return status;
}

static enum warren_status append(struct idempotency_rows *rows, int64_t row,
                                 const struct idempotency_claim *claim, struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[ADD_DONE];

    sqlite3_bind_int64(statement, 1, row);
    idempotency_bind_key(statement, 2, &claim->key);
    sqlite3_bind_int64(statement, 3, rows->store->wall_ms());
    sqlite3_bind_int(statement, 4, claim->outcome);
    if (claim->result && claim->result_len <= IDEMPOTENCY_RESULT_MAX)
        sqlite3_bind_blob(statement, 5, claim->result, (int)claim->result_len, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, 5);
    return database_step(rows->database, statement, error);
}

enum warren_status idempotency_add(struct idempotency_rows *rows, struct idempotency_claim *claim,
                                   bool strict, int64_t *ret_row, struct warren_error *error)
{
    bool add;
    enum warren_status status = is_still_to_add(rows, claim, strict, &add, error);

    *ret_row = 0;
    if (status != WARREN_OK || !add)
        return status;
    *ret_row = key_index_fit(rows->store->next_row);
    status = append(rows, *ret_row, claim, error);
    if (status == WARREN_OK)
        rows->store->next_row = *ret_row + 1;
    return status;
}

void idempotency_added(struct idempotency_store *store, const struct idempotency_claim *claim,
                       int64_t row)
{
    pthread_mutex_lock(&store->mutex);
    key_index_raise(store->index, row + 1 - (int64_t)store->keys_max);
    if (row > 0)
        key_index_put(store->index, idempotency_key_hash(&claim->key), row);
    claim_set_remove(&store->claims, &claim->key);
    if (row > 0)
        store->committed_row = row + 1;
    pthread_mutex_unlock(&store->mutex);
}

int64_t idempotency_next_row(const struct idempotency_store *store)
{
    return store->next_row;
}

void idempotency_set_next_row(struct idempotency_store *store, int64_t row)
{
    store->next_row = row;
}

/* ---- purging ---- */

/* Rows below it may go. */
static int64_t keep_row(const struct idempotency_store *store, int64_t next_row)
{
    return next_row - (int64_t)store->keys_max;
}

/* What was done then, or before, may go. */
static int64_t keep_ms(const struct idempotency_store *store)
{
    int64_t retention_ms = atomic_load(&store->retention_ms);

    return retention_ms > 0 ? store->wall_ms() - retention_ms : INT64_MIN;
}

/* The oldest one, if it is to go: it is too old, or there are too many up to @next_row.
 *
 * @ret_first  its row; 0: none goes */
static enum warren_status look_at_first(struct idempotency_rows *rows, int64_t next_row,
                                        int64_t *ret_first, struct warren_error *error)
{
    struct idempotency_store *store = rows->store;
    sqlite3_stmt *statement = rows->statements[FIRST_DONE];
    int code = sqlite3_step(statement);

    *ret_first = 0;
    if (code == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(statement, 0);
        int64_t at_ms = sqlite3_column_int64(statement, 1);
        bool is_old = at_ms <= keep_ms(store);

        pthread_mutex_lock(&store->mutex);
        if (is_old || first < keep_row(store, next_row))
            *ret_first = first;
        store->forgets = *ret_first > 0 && !is_old;
        if (store->forgets)
            store->forgot_ms = clock_minus_ms(store->wall_ms(), at_ms);
        key_index_raise(store->index, first);
        pthread_mutex_unlock(&store->mutex);
    }
    return idempotency_end_reading(rows, statement, code, error);
}

enum warren_status idempotency_wants_purge(struct idempotency_rows *rows, bool *ret_wants,
                                           struct warren_error *error)
{
    enum warren_status status;
    int64_t next_row;
    int64_t first;

    pthread_mutex_lock(&rows->store->mutex);
    next_row = rows->store->committed_row;
    pthread_mutex_unlock(&rows->store->mutex);
    status = look_at_first(rows, next_row, &first, error);
    *ret_wants = status == WARREN_OK && first > 0;
    return status;
}

enum warren_status idempotency_purge(struct idempotency_rows *rows, int64_t limit,
                                     int64_t *ret_gone, struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[PURGE_DONE];
    int64_t next_row = rows->store->next_row;
    int64_t first;
    enum warren_status status = look_at_first(rows, next_row, &first, error);

    *ret_gone = 0;
    if (status != WARREN_OK || first == 0)
        return status;
    sqlite3_bind_int64(statement, 1, first + limit);
    sqlite3_bind_int64(statement, 2, keep_row(rows->store, next_row));
    sqlite3_bind_int64(statement, 3, keep_ms(rows->store));
    status = database_step(rows->database, statement, error);
    if (status != WARREN_OK)
        return status;
    *ret_gone = sqlite3_changes(database_handle(rows->database));
    pthread_mutex_lock(&rows->store->mutex);
    if (rows->store->forgets)
        rows->store->forgotten += (uint64_t)*ret_gone;
    pthread_mutex_unlock(&rows->store->mutex);
    return WARREN_OK;
}
