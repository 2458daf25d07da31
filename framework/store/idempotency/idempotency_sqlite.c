/* idempotency_sqlite.c - see idempotency_sqlite.h. */
#include "store/idempotency/idempotency_sqlite.h"

#include <stdlib.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/idempotency/idempotency_sqlite_private.h"

static void name(const struct idempotency_store *store, struct warren_bytes scope,
                 struct warren_bytes key, struct idempotency_key *ret_key)
{
    const struct idempotency_sqlite *s = (const struct idempotency_sqlite *)(const void *)store;
    uint64_t scope_len = scope.len;
    struct siphash hash;

    siphash_begin(&hash, s->secret);
    siphash_add(&hash, &scope_len, sizeof scope_len); /* "a" + "bc" is not "ab" + "c" */
    siphash_add(&hash, scope.data, scope.len);
    siphash_add(&hash, key.data, key.len);
    siphash_end(&hash, ret_key->bytes);
}

static void retain(struct idempotency_store *store, int64_t ms)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    int64_t now_ms = atomic_load(&s->retention_ms);

    while (now_ms != 0 && (ms == 0 || ms > now_ms)) {
        if (atomic_compare_exchange_weak(&s->retention_ms, &now_ms, ms))
            return;
    }
}

static enum database_log_news tend(struct idempotency_store *store, char *text)
{
    return database_tend_log(idempotency_sqlite_of(store)->own.database, text);
}

static bool forgot(struct idempotency_store *store, int64_t *ret_age_ms)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);

    pthread_mutex_lock(&s->mutex);
    *ret_age_ms = s->forgot_ms;
    s->forgot_ms = -1;
    pthread_mutex_unlock(&s->mutex);
    return *ret_age_ms >= 0;
}

/* ---- life ---- */

static void free_store(struct idempotency_store *store)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);

    idempotency_rows_done(&s->own);
    database_close(s->own.database);
    owner_lock_free(s->owner);
    key_index_free(s->index);
    claim_set_done(&s->claims);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static const struct idempotency_ops ops = {
    .try_claim = idempotency_try_claim,
    .try_release = idempotency_try_release,
    .claim = idempotency_claim,
    .complete = idempotency_complete,
    .release = idempotency_release,
    .purge = idempotency_purge,
    .renew = idempotency_renew,
    .tend = tend,
    .forgot = forgot,
    .retain = retain,
    .name = name,
    .free = free_store,
};

/* The first process makes the secret, all have the same. */
static enum warren_status read_secret(struct idempotency_sqlite *s, struct warren_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum warren_status status = database_run(
        s->own.database, "INSERT OR IGNORE INTO setting VALUES ('secret', randomblob(16))", error);
    int code;

    if (status == WARREN_OK)
        status = database_prepare(
            s->own.database, "SELECT value FROM setting WHERE name = 'secret'", &statement, error);
    if (status != WARREN_OK)
        return status;
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        status = database_fail(s->own.database, code, "cannot be read", error);
    else if (sqlite3_column_bytes(statement, 0) != (int)sizeof s->secret)
        status = database_fail(s->own.database, SQLITE_CORRUPT, "cannot be read", error);
    else
        memcpy(s->secret, sqlite3_column_blob(statement, 0), sizeof s->secret);
    database_finalize(statement);
    return status;
}

/* Where there are more rows than are to be kept, the oldest are not even read. */
static enum warren_status read_all(struct idempotency_sqlite *s, struct warren_error *error)
{
    int64_t newest;
    enum warren_status status =
        database_number(s->own.database, "SELECT coalesce(max(id), 0) FROM done", &newest, error);

    if (status != WARREN_OK)
        return status;
    s->next_row = newest > (int64_t)s->keys_max ? newest - (int64_t)s->keys_max + 1 : 1;
    status = idempotency_rows_read(&s->own, error);
    if (status == WARREN_OK && !s->shared) /* nobody else has the file */
        status = database_run(s->own.database, "DELETE FROM claim", error);
    return status;
}

enum warren_status idempotency_sqlite_open(const struct idempotency_sqlite_options *options,
                                           struct idempotency_store **ret_store,
                                           struct warren_error *error)
{
    struct idempotency_sqlite *s = calloc(1, sizeof *s);
    enum warren_status status;

    if (!s)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    s->store.ops = &ops;
    s->own.s = s;
    s->shared = options->shared;
    s->keys_max = options->keys_max;
    s->forgot_ms = -1;
    s->clock = options->clock;
    s->wall_ms = options->wall_ms;
    atomic_init(&s->retention_ms, -1);
    pthread_mutex_init(&s->mutex, NULL);
    s->index = key_index_new(s->keys_max);
    if (s->index)
        status = database_open(&options->database, &s->own.database, error);
    else
        status = error_set(error, WARREN_ENOMEM, "no memory for %zu keys", s->keys_max);
    if (status == WARREN_OK)
        status = owner_lock_new(s->own.database, s->shared, &s->owner, error);
    if (status == WARREN_OK && !database_watch(s->own.database, "-lock"))
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status == WARREN_OK)
        status = idempotency_rows_prepare(&s->own, error);
    if (status == WARREN_OK)
        status = read_secret(s, error);
    if (status == WARREN_OK)
        status = read_all(s, error);
    if (status != WARREN_OK) {
        free_store(&s->store);
        return status;
    }
    *ret_store = &s->store;
    return WARREN_OK;
}
