/* idempotency_private.h - the inside of the store: idempotency.c (its life, and its statements),
 * idempotency_claims.c (what is being done) and idempotency_done.c (what is done).
 */
#ifndef WARREN_STORE_IDEMPOTENCY_PRIVATE_H
#define WARREN_STORE_IDEMPOTENCY_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/siphash.h"
#include "store/db/database.h"
#include "store/idempotency/idempotency.h"
#include "store/idempotency/key_index.h"

/* ---- owner lock ----
 *
 * which processes use a database file, and whether one that had it still lives.
 *
 * Locks of the kernel on a file beside it ("-lock"), which end with the process, however it ends.
 * Source: fcntl(2), open file description locks. Thread: one at a time.
 */

struct owner_lock;

/**
 * Become a user of the file of @database: the only one, or one of several.
 *
 * @return WARREN_OK; WARREN_ECONFIG if others use it and do not share, with what to do; WARREN_EIO
 *         or WARREN_ENOMEM
 */
enum warren_status owner_lock_new(const struct database *database, bool shared,
                                  struct owner_lock **ret_lock, struct warren_error *error);
/** NULL is fine. */
void owner_lock_free(struct owner_lock *lock);

/** A number that no other process had or will have for this file; above 0. */
int64_t owner_lock_id(const struct owner_lock *lock);
/** Does the process with this number still use the file? It is not this one. */
bool owner_lock_lives(const struct owner_lock *lock, int64_t id);

/* ---- claim set ----
 *
 * the keys that this process works on now. Grows with them, to the power of two above 1.5 times as
 * many as there ever were at once; they are bounded by what the broker may have sent unsettled.
 * Thread: one at a time.
 */

/** All zero: empty. */
struct claim_set {
    struct claim_slot *slots;
    size_t mask;
    size_t count;
};

void claim_set_done(struct claim_set *set);
bool claim_set_has(const struct claim_set *set, const struct idempotency_key *key);
/** @key must not be in it. False: no memory. */
bool claim_set_add(struct claim_set *set, const struct idempotency_key *key);
/** Harmless if it is not in it. */
void claim_set_remove(struct claim_set *set, const struct idempotency_key *key);

/** Rows that perhaps have a key and are looked at; with 36 random bits even two are rare. */
#define IDEMPOTENCY_CANDIDATES 8

struct idempotency_store {
    struct database *database;
    struct owner_lock *owner;
    struct clock *clock;
    int64_t (*wall_ms)(void);
    uint8_t secret[SIPHASH_SIZE];
    bool shared;
    size_t keys_max;
    int64_t next_row;             /* of the next one done */
    _Atomic int64_t retention_ms; /* 0: for ever; -1: nobody has said */

    pthread_mutex_t mutex; /* guards what is below */
    int64_t committed_row; /* all below it are committed, and have been read */
    int64_t forgot_ms;     /* the age of what keys_max took before its time; -1: none */
    bool forgets;          /* the oldest row is to go before its time */
    uint64_t forgotten;    /* rows that went so */
    struct key_index *index;
    struct claim_set claims; /* of this process */
};

/* Rows are numbered from 1 on; one above that is of a damaged file. */
#define IDEMPOTENCY_ROW_MAX (INT64_MAX / 2)
#define ROW_MAX_SQL         "4611686018427387903"

void idempotency_bind_key(struct sqlite3_stmt *statement, int place,
                          const struct idempotency_key *key);
/** What the last step of @statement, @code, means; it is reset. */
enum warren_status idempotency_end_reading(struct idempotency_rows *rows,
                                           struct sqlite3_stmt *statement, int code,
                                           struct warren_error *error);
/** Read what was appended since, by others or before, into the index. */
enum warren_status idempotency_rows_read(struct idempotency_rows *rows, struct warren_error *error);
/** Is @claim's key done? Then write its outcome and result. */
enum warren_status idempotency_look_up(struct idempotency_rows *rows,
                                       struct idempotency_claim *claim, bool *ret_is_done,
                                       struct warren_error *error);
/** Take back this process' claim. @ret_was_mine: it was still there. */
enum warren_status idempotency_rows_unclaim(struct idempotency_rows *rows,
                                            const struct idempotency_key *key, bool *ret_was_mine,
                                            struct warren_error *error);

#endif
