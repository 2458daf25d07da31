/* idempotency.c - see idempotency.h. */

#include <stdlib.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/idempotency/idempotency_private.h"

void idempotency_name(const struct idempotency_store *store, struct warren_bytes scope,
                      struct warren_bytes key, struct idempotency_key *ret_key)
{
    uint64_t scope_len = scope.len;
    struct siphash hash;

    siphash_begin(&hash, store->secret);
    siphash_add(&hash, &scope_len, sizeof scope_len); /* "a" + "bc" is not "ab" + "c" */
    siphash_add(&hash, scope.data, scope.len);
    siphash_add(&hash, key.data, key.len);
    siphash_end(&hash, ret_key->bytes);
}

void idempotency_retain(struct idempotency_store *store, int64_t ms)
{
    int64_t now_ms = atomic_load(&store->retention_ms);

    while (now_ms != 0 && (ms == 0 || ms > now_ms)) {
        if (atomic_compare_exchange_weak(&store->retention_ms, &now_ms, ms))
            return;
    }
}

bool idempotency_is_shared(const struct idempotency_store *store)
{
    return store->shared;
}

bool idempotency_forgot(struct idempotency_store *store, int64_t *ret_age_ms)
{
    pthread_mutex_lock(&store->mutex);
    *ret_age_ms = store->forgot_ms;
    store->forgot_ms = -1;
    pthread_mutex_unlock(&store->mutex);
    return *ret_age_ms >= 0;
}

void idempotency_count(struct idempotency_store *store, struct idempotency_counts *counts)
{
    pthread_mutex_lock(&store->mutex);
    *counts = (struct idempotency_counts){
        .keys = key_index_rows(store->index, store->committed_row),
        .keys_max = (int64_t)store->keys_max,
        .claims = (int64_t)store->claims.count,
        .forgotten = store->forgotten,
    };
    pthread_mutex_unlock(&store->mutex);
}

/* ---- a connection ---- */

/* Claims keep their lease beside its end, so that they can be prolonged all at once. */
static const char *const texts[STATEMENT_COUNT] = {
    [GET_DONE] = "SELECT key, at, outcome, result FROM done WHERE id = ?1",
    [ADD_DONE] = "INSERT INTO done VALUES (?1, ?2, ?3, ?4, ?5)",
    [READ_DONE] = "SELECT id, key FROM done WHERE id >= ?1 ORDER BY id",
    /* Never the newest one: the numbers go on from there. */
    [PURGE_DONE] = ("DELETE FROM done WHERE id < ?1 AND id < (SELECT max(id) FROM done)"
                    " AND (id < ?2 OR at <= ?3)"),
    /* A number or a time that is none holds up nothing. */
    [FIRST_DONE] = ("SELECT id, at FROM done WHERE id BETWEEN 1 AND " ROW_MAX_SQL
                    " AND at BETWEEN 0 AND 253402300799999 ORDER BY id LIMIT 1"),
    [GET_CLAIM] = "SELECT owner, until FROM claim WHERE key = ?1",
    [PUT_CLAIM] = "REPLACE INTO claim VALUES (?1, ?2, ?3, ?4)",
    [DROP_CLAIM] = "DELETE FROM claim WHERE key = ?1 AND owner = ?2",
    [RENEW_CLAIM] = "UPDATE claim SET until = ?2 + lease WHERE owner = ?1",
};

enum warren_status idempotency_rows_prepare(struct idempotency_rows *rows,
                                            struct database *database, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    rows->database = database;
    for (size_t i = 0; status == WARREN_OK && i < STATEMENT_COUNT; i++)
        status = database_prepare(database, texts[i], &rows->statements[i], error);
    return status;
}

void idempotency_rows_done(struct idempotency_rows *rows)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        database_finalize(rows->statements[i]);
}

void idempotency_bind_key(sqlite3_stmt *statement, int place, const struct idempotency_key *key)
{
    sqlite3_bind_blob(statement, place, key->bytes, sizeof key->bytes, SQLITE_STATIC);
}

enum warren_status idempotency_end_reading(struct idempotency_rows *rows, sqlite3_stmt *statement,
                                           int code, struct warren_error *error)
{
    sqlite3_reset(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return WARREN_OK;
    return database_fail(rows->database, code, "cannot be read", error);
}

/* ---- life ---- */

void idempotency_store_close(struct idempotency_store *store)
{
    if (!store)
        return;
    database_unwatch(store->database, "-lock");
    owner_lock_free(store->owner);
    key_index_free(store->index);
    claim_set_done(&store->claims);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

/* The first process makes the secret, all have the same. */
static enum warren_status read_secret(struct idempotency_store *store, struct warren_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum warren_status status = database_run(
        store->database, "INSERT OR IGNORE INTO setting VALUES ('secret', randomblob(16))", error);
    int code;

    if (status == WARREN_OK)
        status = database_prepare(
            store->database, "SELECT value FROM setting WHERE name = 'secret'", &statement, error);
    if (status != WARREN_OK)
        return status;
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        status = database_fail(store->database, code, "cannot be read", error);
    else if (sqlite3_column_bytes(statement, 0) != (int)sizeof store->secret)
        status = database_fail(store->database, SQLITE_CORRUPT, "cannot be read", error);
    else
        memcpy(store->secret, sqlite3_column_blob(statement, 0), sizeof store->secret);
    database_finalize(statement);
    return status;
}

/* Where there are more rows than are to be kept, the oldest are not even read. */
static enum warren_status read_all(struct idempotency_store *store, struct warren_error *error)
{
    struct idempotency_rows rows = {.store = store};
    int64_t newest = 0;
    enum warren_status status = database_number(
        store->database, "SELECT max(coalesce(max(id), 0), 0) FROM done WHERE id <= " ROW_MAX_SQL,
        &newest, error);

    store->next_row = newest > (int64_t)store->keys_max ? newest - (int64_t)store->keys_max + 1 : 1;
    store->committed_row = store->next_row;
    if (status == WARREN_OK)
        status = idempotency_rows_prepare(&rows, store->database, error);
    if (status == WARREN_OK)
        status = idempotency_rows_read(&rows, error);
    idempotency_rows_done(&rows);
    if (status == WARREN_OK && !store->shared) /* no other process has the file */
        status = database_run(store->database, "DELETE FROM claim", error);
    return status;
}

enum warren_status idempotency_store_open(const struct idempotency_options *options,
                                          struct database *database,
                                          struct idempotency_store **ret_store,
                                          struct warren_error *error)
{
    struct idempotency_store *store = calloc(1, sizeof *store);
    enum warren_status status;

    if (!store)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    store->database = database;
    store->shared = options->shared;
    store->keys_max = options->keys_max;
    store->forgot_ms = -1;
    store->clock = options->clock;
    store->wall_ms = options->wall_ms;
    atomic_init(&store->retention_ms, -1);
    pthread_mutex_init(&store->mutex, NULL);
    store->index = key_index_new(store->keys_max);
    if (store->index)
        status = owner_lock_new(database, store->shared, &store->owner, error);
    else
        status = error_set(error, WARREN_ENOMEM, "no memory for %zu keys", store->keys_max);
    if (status == WARREN_OK && !database_watch(database, "-lock"))
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status == WARREN_OK)
        status = read_secret(store, error);
    if (status == WARREN_OK)
        status = read_all(store, error);
    if (status != WARREN_OK) {
        idempotency_store_close(store);
        return status;
    }
    *ret_store = store;
    return WARREN_OK;
}
