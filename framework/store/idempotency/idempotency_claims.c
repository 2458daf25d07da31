/* idempotency_claims.c - what is being done: claimed, given back, prolonged; in memory, and in rows
 * where several processes share the file.
 */
#include <stdlib.h>

#include "store/idempotency/idempotency_sqlite_private.h"

/* ---- in memory ---- */

static bool add_claim(struct idempotency_sqlite *s, struct idempotency_claim *claim)
{
    /* No memory: it comes again. */
    claim->state = claim_set_add(&s->claims, &claim->key) ? CLAIM_NEW : CLAIM_BUSY;
    return true;
}

bool idempotency_try_claim(struct idempotency_store *store, struct idempotency_claim *claim)
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

bool idempotency_try_release(struct idempotency_store *store, const struct idempotency_claim *claim)
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
    status = idempotency_look_up(&s->own, claim, &is_done, error);
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

enum warren_status idempotency_claim(struct idempotency_store *store,
                                     struct idempotency_claim **claims, size_t count,
                                     struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    enum warren_status status;

    if (!s->shared) { /* nothing is written; but what is not in its place answers nothing */
        status = database_in_place(s->own.database, error);
        return status == WARREN_OK ? claim_all(s, claims, count, error) : status;
    }
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

/* ---- release, renew ---- */

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

enum warren_status idempotency_release(struct idempotency_store *store,
                                       struct idempotency_claim **claims, size_t count,
                                       struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    struct claims all = {claims, count};
    enum warren_status status = WARREN_OK;

    if (s->shared)
        status = idempotency_in_transaction(s, unclaim_all, &all, error);
    if (status == WARREN_OK)
        forget_claims(s, claims, count);
    return status;
}

static enum warren_status renew_all(struct idempotency_sqlite *s, void *arg,
                                    struct warren_error *error)
{
    (void)arg;
    return idempotency_rows_renew(&s->own, error);
}

enum warren_status idempotency_renew(struct idempotency_store *store, struct warren_error *error)
{
    struct idempotency_sqlite *s = idempotency_sqlite_of(store);
    bool has_claims;

    pthread_mutex_lock(&s->mutex);
    has_claims = s->claims.count > 0;
    pthread_mutex_unlock(&s->mutex);
    if (!s->shared || !has_claims)
        return WARREN_OK;
    return idempotency_in_transaction(s, renew_all, NULL, error);
}
