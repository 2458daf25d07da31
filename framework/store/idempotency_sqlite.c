/* idempotency_sqlite.c - see idempotency_sqlite.h. */
#include "store/idempotency_sqlite.h"

#include <stdlib.h>
#include <sys/random.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/idempotency_sqlite_private.h"
#include "store/turn.h"

/* ---- in memory ---- */

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

static bool add_claim(struct idempotency_sqlite *s, struct idempotency_claim *claim)
{
    /* No memory: it comes again. */
    claim->state = claim_set_add(&s->claims, &claim->key) ? CLAIM_NEW : CLAIM_BUSY;
    return true;
}

static bool try_claim(struct idempotency_store *store, struct idempotency_claim *claim)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    size_t cursor = 0;
    bool is_known = true;

    pthread_mutex_lock(&s->mutex);
    if (claim_set_has(&s->claims, &claim->key))
        claim->state = CLAIM_BUSY;
    else if (!s->shared && !key_index_find(s->index, idempotency_key_hash(&claim->key), &cursor))
        add_claim(s, claim);
    else
        is_known = false;
    pthread_mutex_unlock(&s->mutex);
    return is_known;
}

static bool try_release(struct idempotency_store *store, const struct idempotency_claim *claim)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);

    if (s->shared)
        return false;
    pthread_mutex_lock(&s->mutex);
    claim_set_remove(&s->claims, &claim->key);
    pthread_mutex_unlock(&s->mutex);
    return true;
}

static void forget_claims(struct idempotency_sqlite *s, struct idempotency_claim **claims,
                          size_t count)
{
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < count; i++)
        claim_set_remove(&s->claims, &claims[i]->key);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- claim ---- */

/* Which rows may have the key? */
static size_t candidates(struct idempotency_sqlite *s, const struct idempotency_key *key,
                         int64_t rows[IDEMPOTENCY_CANDIDATES])
{
    size_t cursor = 0;
    size_t count = 0;
    int64_t row;

    pthread_mutex_lock(&s->mutex);
    while (count < IDEMPOTENCY_CANDIDATES &&
           (row = key_index_find(s->index, idempotency_key_hash(key), &cursor)) != 0)
        rows[count++] = row;
    pthread_mutex_unlock(&s->mutex);
    return count;
}

static enum warren_status look_up(struct idempotency_connection *c, struct idempotency_claim *claim,
                                  bool *ret_is_done, struct warren_error *error)
{
    int64_t rows[IDEMPOTENCY_CANDIDATES];
    size_t count = candidates(c->s, &claim->key, rows);
    enum warren_status status = WARREN_OK;

    *ret_is_done = false;
    for (size_t i = 0; status == WARREN_OK && !*ret_is_done && i < count; i++)
        status = idempotency_rows_get(c, rows[i], claim, ret_is_done, error);
    return status;
}

static enum warren_status claim_one(struct idempotency_sqlite *s, struct idempotency_claim *claim,
                                    struct warren_error *error)
{
    enum warren_status status;
    bool is_busy;
    bool is_done;

    pthread_mutex_lock(&s->mutex);
    is_busy = claim_set_has(&s->claims, &claim->key);
    pthread_mutex_unlock(&s->mutex);
    claim->state = CLAIM_BUSY;
    if (is_busy)
        return WARREN_OK;
    status = look_up(&s->own, claim, &is_done, error);
    if (is_done)
        claim->state = CLAIM_DONE;
    if (status != WARREN_OK || is_done)
        return status;
    claim->state = CLAIM_NEW;
    if (s->shared)
        status = idempotency_rows_claim(&s->own, claim, error);
    if (status != WARREN_OK || claim->state != CLAIM_NEW)
        return status;
    pthread_mutex_lock(&s->mutex);
    add_claim(s, claim);
    pthread_mutex_unlock(&s->mutex);
    return WARREN_OK;
}

/* What was taken before the failure is given back; results that were read are dropped. */
static void undo_claims(struct idempotency_sqlite *s, struct idempotency_claim **claims,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (claims[i]->state == CLAIM_NEW)
            forget_claims(s, &claims[i], 1);
        free(claims[i]->result);
        claims[i]->result = NULL;
        claims[i]->result_len = 0;
        claims[i]->state = CLAIM_BUSY;
    }
}

static enum warren_status claim_all(struct idempotency_sqlite *s, struct idempotency_claim **claims,
                                    size_t count, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    size_t done = 0;

    while (status == WARREN_OK && done < count)
        status = claim_one(s, claims[done++], error);
    if (status == WARREN_OK && s->shared)
        status = database_commit(s->own.database, error);
    if (status != WARREN_OK)
        undo_claims(s, claims, done);
    return status;
}

/* ---- transactions ---- */

enum warren_status idempotency_begin(struct idempotency_connection *c, struct warren_error *error)
{
    enum warren_status status;

    turn_take(database_turn(c->database));
    status = database_begin(c->database, error);
    if (status == WARREN_OK && c->s->shared)
        status = idempotency_rows_read(c, error);
    if (status != WARREN_OK)
        idempotency_end(c);
    return status;
}

void idempotency_end(struct idempotency_connection *c)
{
    database_rollback(c->database);
    turn_give(database_turn(c->database));
}

static enum warren_status claim(struct idempotency_store *store, struct idempotency_claim **claims,
                                size_t count, struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    enum warren_status status;

    if (!s->shared)
        return claim_all(s, claims, count, error);
    /* A claim need not survive a loss of power: neither does who made it. */
    status = database_relax(s->own.database, true, error);
    if (status == WARREN_OK)
        status = idempotency_begin(&s->own, error);
    if (status == WARREN_OK) {
        status = claim_all(s, claims, count, error);
        idempotency_end(&s->own);
    }
    database_relax(s->own.database, false, NULL);
    return status;
}

/* ---- complete ---- */

/* Shared, the claim may have been lost: to somebody who may even be done by now. */
static enum warren_status is_still_to_add(struct idempotency_connection *c,
                                          struct idempotency_claim *claim, bool strict,
                                          bool *ret_add, struct warren_error *error)
{
    struct idempotency_claim other = {.key = claim->key};
    enum warren_status status;
    bool was_mine;

    claim->overtaken = false;
    *ret_add = true;
    if (!c->s->shared)
        return WARREN_OK;
    status = idempotency_rows_unclaim(c, &claim->key, &was_mine, error);
    if (status != WARREN_OK || was_mine)
        return status;
    if (strict)
        claim->overtaken = true;
    else
        status = look_up(c, &other, &claim->overtaken, error);
    free(other.result);
    *ret_add = !claim->overtaken;
    return status;
}

enum warren_status idempotency_add(struct idempotency_connection *c,
                                   struct idempotency_claim *claim, bool strict, int64_t *ret_row,
                                   struct warren_error *error)
{
    bool add;
    enum warren_status status = is_still_to_add(c, claim, strict, &add, error);

    *ret_row = 0;
    if (status != WARREN_OK || !add)
        return status;
    *ret_row = key_index_fit(c->s->next_row);
    status = idempotency_rows_add(c, *ret_row, claim, error);
    if (status == WARREN_OK)
        c->s->next_row = *ret_row + 1;
    return status;
}

static enum warren_status add_all(struct idempotency_sqlite *s, struct idempotency_claim **claims,
                                  size_t count, int64_t *rows, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = idempotency_add(&s->own, claims[i], false, &rows[i], error);
    return status;
}

void idempotency_added(struct idempotency_sqlite *s, const struct idempotency_claim *claim,
                       int64_t row)
{
    pthread_mutex_lock(&s->mutex);
    key_index_raise(s->index, row + 1 - (int64_t)s->keys_max);
    if (row > 0)
        key_index_put(s->index, idempotency_key_hash(&claim->key), row);
    claim_set_remove(&s->claims, &claim->key);
    pthread_mutex_unlock(&s->mutex);
}

/* Begun; committed if it succeeds. */
static enum warren_status complete_all(struct idempotency_sqlite *s,
                                       struct idempotency_claim **claims, size_t count,
                                       int64_t *rows, struct warren_error *error)
{
    enum warren_status status = add_all(s, claims, count, rows, error);
    int64_t gone;

    if (status == WARREN_OK) /* so that at full speed as many go as come */
        status = idempotency_rows_purge(&s->own, 2 * (int64_t)count, &gone, error);
    if (status == WARREN_OK)
        status = database_commit(s->own.database, error);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        idempotency_added(s, claims[i], rows[i]);
    return status;
}

static enum warren_status complete(struct idempotency_store *store,
                                   struct idempotency_claim **claims, size_t count,
                                   struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    int64_t *rows = calloc(count, sizeof *rows);
    enum warren_status status;
    int64_t before;

    if (!rows)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    status = idempotency_begin(&s->own, error);
    if (status == WARREN_OK) {
        before = s->next_row; /* after others' rows were read, which are there in any case */
        status = complete_all(s, claims, count, rows, error);
        if (status != WARREN_OK)
            s->next_row = before;
        idempotency_end(&s->own);
    }
    free(rows);
    return status;
}

/* ---- release, purge, renew ---- */

static enum warren_status in_transaction(struct idempotency_sqlite *s,
                                         enum warren_status (*work)(struct idempotency_sqlite *s,
                                                                    void *arg,
                                                                    struct warren_error *error),
                                         void *arg, struct warren_error *error)
{
    enum warren_status status = idempotency_begin(&s->own, error);

    if (status != WARREN_OK)
        return status;
    status = work(s, arg, error);
    if (status == WARREN_OK)
        status = database_commit(s->own.database, error);
    idempotency_end(&s->own);
    return status;
}

struct claims {
    struct idempotency_claim **items;
    size_t count;
};

static enum warren_status unclaim_all(struct idempotency_sqlite *s, void *arg,
                                      struct warren_error *error)
{
    const struct claims *claims = arg;
    enum warren_status status = WARREN_OK;
    bool was_mine;

    for (size_t i = 0; status == WARREN_OK && i < claims->count; i++)
        status = idempotency_rows_unclaim(&s->own, &claims->items[i]->key, &was_mine, error);
    return status;
}

static enum warren_status release(struct idempotency_store *store,
                                  struct idempotency_claim **claims, size_t count,
                                  struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    struct claims all = {claims, count};
    enum warren_status status = WARREN_OK;

    if (s->shared)
        status = in_transaction(s, unclaim_all, &all, error);
    if (status == WARREN_OK)
        forget_claims(s, claims, count);
    return status;
}

static enum warren_status purge_some(struct idempotency_sqlite *s, void *arg,
                                     struct warren_error *error)
{
    return idempotency_rows_purge(&s->own, IDEMPOTENCY_PURGE_ROWS, arg, error);
}

static enum warren_status purge(struct idempotency_store *store, bool *ret_more,
                                struct warren_error *error)
{
    int64_t gone = 0;
    enum warren_status status =
        in_transaction(idempotency_sqlite_of(store), purge_some, &gone, error);

    *ret_more = status == WARREN_OK && gone >= IDEMPOTENCY_PURGE_ROWS / 2;
    return status;
}

static enum warren_status renew_all(struct idempotency_sqlite *s, void *arg,
                                    struct warren_error *error)
{
    (void)arg;
    return idempotency_rows_renew(&s->own, error);
}

static enum warren_status renew(struct idempotency_store *store, struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    bool has_claims;

    pthread_mutex_lock(&s->mutex);
    has_claims = s->claims.count > 0;
    pthread_mutex_unlock(&s->mutex);
    if (!s->shared || !has_claims)
        return WARREN_OK;
    return in_transaction(s, renew_all, NULL, error);
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
    .try_claim = try_claim,
    .try_release = try_release,
    .claim = claim,
    .complete = complete,
    .release = release,
    .purge = purge,
    .renew = renew,
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
        status = owner_lock_new(options->database.path, s->shared, &s->owner, error);
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
