/* idempotency_sqlite_private.h - the inside of the store: idempotency_sqlite.c (its life),
 * idempotency_claims.c (what is being done) and idempotency_done.c (what is done), both of which
 * stand on idempotency_rows.c (rows and transactions).
 */
#ifndef WARREN_STORE_IDEMPOTENCY_SQLITE_PRIVATE_H
#define WARREN_STORE_IDEMPOTENCY_SQLITE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "store/db/database.h"
#include "store/idempotency/claim_set.h"
#include "store/idempotency/idempotency_connection.h"
#include "store/idempotency/key_index.h"
#include "store/idempotency/owner_lock.h"

/** Rows that purge() removes at once. */
#define IDEMPOTENCY_PURGE_ROWS 256
/** Rows that perhaps have a key and are looked at; with 36 random bits even two are rare. */
#define IDEMPOTENCY_CANDIDATES 8

/** The next row, and the index of the rows, change in the writer's turn alone (turn.h). */
struct idempotency_sqlite {
    struct idempotency_store store;
    struct idempotency_connection own; /* of the thread that calls the store */
    struct owner_lock *owner;
    struct clock *clock;
    int64_t (*wall_ms)(void);
    uint8_t secret[SIPHASH_SIZE];
    bool shared;
    size_t keys_max;
    int64_t next_row; /* of the next one done; all below have been read */
    int64_t first_row;
    int64_t
        forgot_ms; /* under the mutex: the age of what keys_max took before its time; -1: none */
    _Atomic int64_t retention_ms; /* 0: for ever; -1: nobody has said */

    pthread_mutex_t mutex; /* guards the two below */
    struct key_index *index;
    struct claim_set claims; /* of this process */
};

/* ---- idempotency_rows.c: within a transaction where something is written ---- */

/** Read what was appended since, by others or before, into the index. */
enum warren_status idempotency_rows_read(struct idempotency_connection *c,
                                         struct warren_error *error);
/** Is @row what @claim asks for? Then write its outcome and result. */
enum warren_status idempotency_rows_get(struct idempotency_connection *c, int64_t row,
                                        struct idempotency_claim *claim, bool *ret_is,
                                        struct warren_error *error);
/** Append. */
enum warren_status idempotency_rows_add(struct idempotency_connection *c, int64_t row,
                                        const struct idempotency_claim *claim,
                                        struct warren_error *error);
/** Remove at most @limit rows that are too old or too many, the oldest first. */
enum warren_status idempotency_rows_purge(struct idempotency_connection *c, int64_t limit,
                                          int64_t *ret_gone, struct warren_error *error);
/** Claim @claim's key for this process, unless a living one has it. */
enum warren_status idempotency_rows_claim(struct idempotency_connection *c,
                                          struct idempotency_claim *claim,
                                          struct warren_error *error);
/** Take back this process' claim. @ret_was_mine: it was still there. */
enum warren_status idempotency_rows_unclaim(struct idempotency_connection *c,
                                            const struct idempotency_key *key, bool *ret_was_mine,
                                            struct warren_error *error);
/** Prolong this process' claims by the lease that each was made with. */
enum warren_status idempotency_rows_renew(struct idempotency_connection *c,
                                          struct warren_error *error);

/** What was written counts from now on, if the file is in its place. */
enum warren_status idempotency_commit(struct idempotency_connection *c, struct warren_error *error);
/** @work in a transaction of the store's own connection, committed if it succeeds. */
enum warren_status idempotency_in_transaction(
    struct idempotency_sqlite *s,
    enum warren_status (*work)(struct idempotency_sqlite *s, void *arg, struct warren_error *error),
    void *arg, struct warren_error *error);

/* ---- idempotency_done.c ---- */

/** Is @claim's key done? Then write its outcome and result. */
enum warren_status idempotency_look_up(struct idempotency_connection *c,
                                       struct idempotency_claim *claim, bool *ret_is_done,
                                       struct warren_error *error);

/* As in struct idempotency_ops. */

enum warren_status idempotency_complete(struct idempotency_store *store,
                                        struct idempotency_claim **claims, size_t count,
                                        struct warren_error *error);
enum warren_status idempotency_purge(struct idempotency_store *store, bool *ret_more,
                                     struct warren_error *error);

/* ---- idempotency_claims.c: as in struct idempotency_ops ---- */

bool idempotency_try_claim(struct idempotency_store *store, struct idempotency_claim *claim);
bool idempotency_try_release(struct idempotency_store *store,
                             const struct idempotency_claim *claim);
enum warren_status idempotency_claim(struct idempotency_store *store,
                                     struct idempotency_claim **claims, size_t count,
                                     struct warren_error *error);
enum warren_status idempotency_release(struct idempotency_store *store,
                                       struct idempotency_claim **claims, size_t count,
                                       struct warren_error *error);
enum warren_status idempotency_renew(struct idempotency_store *store, struct warren_error *error);

#endif
