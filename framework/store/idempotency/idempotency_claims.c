/* idempotency_claims.c - what is being done: claimed and given back, in memory, and in rows where
 * several processes share the file.
 */
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "store/idempotency/idempotency_private.h"

/* ---- the claims of this process, in memory ---- */

#define SLOTS_MIN 256

struct claim_slot {
    struct idempotency_key key;
    bool used;
};

static size_t home_of(const struct claim_set *set, const struct idempotency_key *key)
{
    return idempotency_key_hash(key) & set->mask;
}

/* Where @key is, or the free slot where it would be. The set is not empty. */
static size_t place_of(const struct claim_set *set, const struct idempotency_key *key)
{
    size_t place = home_of(set, key);

    while (set->slots[place].used && memcmp(&set->slots[place].key, key, sizeof *key) != 0)
        place = (place + 1) & set->mask;
    return place;
}

static bool grow(struct claim_set *set)
{
    size_t slots = set->slots ? 2 * (set->mask + 1) : SLOTS_MIN;
    struct claim_set larger = {
        .slots = calloc(slots, sizeof *larger.slots), .mask = slots - 1, .count = set->count};

    if (!larger.slots)
        return false;
    for (size_t i = 0; set->slots && i <= set->mask; i++) {
        if (set->slots[i].used)
            larger.slots[place_of(&larger, &set->slots[i].key)] = set->slots[i];
    }
    free(set->slots);
    *set = larger;
    return true;
}

void claim_set_done(struct claim_set *set)
{
    free(set->slots);
    *set = (struct claim_set){NULL, 0, 0};
}

bool claim_set_has(const struct claim_set *set, const struct idempotency_key *key)
{
    return set->slots && set->slots[place_of(set, key)].used;
}

bool claim_set_add(struct claim_set *set, const struct idempotency_key *key)
{
    if ((!set->slots || set->count + set->count / 2 >= set->mask) && !grow(set))
        return false;
    set->slots[place_of(set, key)] = (struct claim_slot){.key = *key, .used = true};
    set->count++;
    return true;
}

void claim_set_remove(struct claim_set *set, const struct idempotency_key *key)
{
    size_t gap;

    if (!claim_set_has(set, key))
        return;
    gap = place_of(set, key);
    for (size_t i = (gap + 1) & set->mask; set->slots[i].used; i = (i + 1) & set->mask) {
        size_t distance = (i - home_of(set, &set->slots[i].key)) & set->mask;

        if (distance >= ((i - gap) & set->mask)) {
            set->slots[gap] = set->slots[i];
            gap = i;
        }
    }
    set->slots[gap].used = false;
    set->count--;
}

/* ---- in memory ---- */

static void add_claim(struct idempotency_store *store, struct idempotency_claim *claim)
{
    /* No memory: it comes again. */
    claim->state = claim_set_add(&store->claims, &claim->key) ? CLAIM_NEW : CLAIM_BUSY;
}

bool idempotency_try_claim(struct idempotency_store *store, struct idempotency_claim *claim)
{
    size_t cursor = 0;
    bool is_known = true;

    pthread_mutex_lock(&store->mutex);
    if (claim_set_has(&store->claims, &claim->key))
        claim->state = CLAIM_BUSY;
    else if (!store->shared &&
             !key_index_find(store->index, idempotency_key_hash(&claim->key), &cursor))
        add_claim(store, claim);
    else
        is_known = false;
    pthread_mutex_unlock(&store->mutex);
    return is_known;
}

static void forget_claim(struct idempotency_store *store, const struct idempotency_claim *claim)
{
    pthread_mutex_lock(&store->mutex);
    claim_set_remove(&store->claims, &claim->key);
    pthread_mutex_unlock(&store->mutex);
}

bool idempotency_try_release(struct idempotency_store *store, const struct idempotency_claim *claim)
{
    if (store->shared)
        return false;
    forget_claim(store, claim);
    return true;
}

bool idempotency_has_claims(struct idempotency_store *store)
{
    bool has_claims;

    pthread_mutex_lock(&store->mutex);
    has_claims = store->claims.count > 0;
    pthread_mutex_unlock(&store->mutex);
    return has_claims;
}

void idempotency_unclaim(struct idempotency_store *store, struct idempotency_claim *claim)
{
    if (claim->state == CLAIM_NEW)
        forget_claim(store, claim);
    free(claim->result);
    claim->result = NULL;
    claim->result_len = 0;
    claim->state = CLAIM_BUSY;
}

/* ---- rows ---- */

/* Unless a living one of another process has it. */
static enum warren_status claim_row(struct idempotency_rows *rows, struct idempotency_claim *claim,
                                    struct warren_error *error)
{
    sqlite3_stmt *get = rows->statements[GET_CLAIM];
    sqlite3_stmt *put = rows->statements[PUT_CLAIM];
    int64_t me = owner_lock_id(rows->store->owner);
    int64_t now_ms = clock_now_ms(rows->store->clock);
    enum warren_status status;
    bool is_taken = false;
    int code;

    idempotency_bind_key(get, 1, &claim->key);
    code = sqlite3_step(get);
    if (code == SQLITE_ROW) {
        int64_t owner = sqlite3_column_int64(get, 0);

        /* One of this process is left over: what it is at was looked up before. */
        is_taken = owner != me && sqlite3_column_int64(get, 1) > now_ms &&
                   owner_lock_lives(rows->store->owner, owner);
    }
    status = idempotency_end_reading(rows, get, code, error);
    claim->state = is_taken ? CLAIM_BUSY : CLAIM_NEW;
    if (status != WARREN_OK || is_taken)
        return status;
    idempotency_bind_key(put, 1, &claim->key);
    sqlite3_bind_int64(put, 2, me);
    sqlite3_bind_int64(put, 3, now_ms + claim->lease_ms);
    sqlite3_bind_int64(put, 4, claim->lease_ms);
    return database_step(rows->database, put, error);
}

enum warren_status idempotency_rows_unclaim(struct idempotency_rows *rows,
                                            const struct idempotency_key *key, bool *ret_was_mine,
                                            struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[DROP_CLAIM];
    enum warren_status status;

    idempotency_bind_key(statement, 1, key);
    sqlite3_bind_int64(statement, 2, owner_lock_id(rows->store->owner));
    status = database_step(rows->database, statement, error);
    *ret_was_mine = status == WARREN_OK && sqlite3_changes(database_handle(rows->database)) > 0;
    return status;
}

enum warren_status idempotency_claim(struct idempotency_rows *rows, struct idempotency_claim *claim,
                                     struct warren_error *error)
{
    enum warren_status status;
    bool is_busy;
    bool is_done;

    pthread_mutex_lock(&rows->store->mutex);
    is_busy = claim_set_has(&rows->store->claims, &claim->key);
    pthread_mutex_unlock(&rows->store->mutex);
    claim->state = CLAIM_BUSY;
    if (is_busy)
        return WARREN_OK;
    status = idempotency_look_up(rows, claim, &is_done, error);
    if (is_done)
        claim->state = CLAIM_DONE;
    if (status != WARREN_OK || is_done)
        return status;
    if (rows->store->shared)
        status = claim_row(rows, claim, error);
    else
        claim->state = CLAIM_NEW;
    if (status != WARREN_OK || claim->state != CLAIM_NEW)
        return status;
    pthread_mutex_lock(&rows->store->mutex);
    add_claim(rows->store, claim);
    pthread_mutex_unlock(&rows->store->mutex);
    return WARREN_OK;
}

enum warren_status idempotency_release(struct idempotency_rows *rows,
                                       const struct idempotency_claim *claim,
                                       struct warren_error *error)
{
    bool was_mine;

    return rows->store->shared ? idempotency_rows_unclaim(rows, &claim->key, &was_mine, error)
                               : WARREN_OK;
}

enum warren_status idempotency_renew(struct idempotency_rows *rows, struct warren_error *error)
{
    sqlite3_stmt *statement = rows->statements[RENEW_CLAIM];

    sqlite3_bind_int64(statement, 1, owner_lock_id(rows->store->owner));
    sqlite3_bind_int64(statement, 2, clock_now_ms(rows->store->clock));
    return database_step(rows->database, statement, error);
}
