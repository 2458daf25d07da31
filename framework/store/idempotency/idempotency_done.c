/* idempotency_done.c - what is done: looked up, appended, purged. */
#include <stdlib.h>

#include "base/error.h"
#include "store/idempotency/idempotency_sqlite_private.h"

/* ---- looking up ---- */

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

enum warren_status idempotency_look_up(struct idempotency_connection *c,
                                       struct idempotency_claim *claim, bool *ret_is_done,
                                       struct warren_error *error)
{
    int64_t rows[IDEMPOTENCY_CANDIDATES];
    size_t count = candidates(c->s, &claim->key, rows);
    enum warren_status status = WARREN_OK;

    *ret_is_done = false;
    for (size_t i = 0; status == WARREN_OK && !*ret_is_done && i < count; i++)
        status = idempotency_rows_get(c, rows[i], claim, ret_is_done, error);
    return status;
}

/* ---- appending ---- */

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
        status = idempotency_look_up(c, &other, &claim->overtaken, error);
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
        status = idempotency_commit(&s->own, error);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        idempotency_added(s, claims[i], rows[i]);
    return status;
}

enum warren_status idempotency_complete(struct idempotency_store *store,
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

/* ---- purging ---- */

static enum warren_status purge_some(struct idempotency_sqlite *s, void *arg,
                                     struct warren_error *error)
{
    return idempotency_rows_purge(&s->own, IDEMPOTENCY_PURGE_ROWS, arg, error);
}

enum warren_status idempotency_purge(struct idempotency_store *store, bool *ret_more,
                                     struct warren_error *error)
{
    int64_t gone = 0;
    enum warren_status status =
        idempotency_in_transaction(idempotency_sqlite_of(store), purge_some, &gone, error);

    *ret_more = status == WARREN_OK && gone >= IDEMPOTENCY_PURGE_ROWS / 2;
    return status;
}
