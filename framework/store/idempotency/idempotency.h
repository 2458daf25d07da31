/* idempotency.h - which messages were handled: keys in a database file. A key is claimed before its
 * message is handled, completed when the effect is there, released when there is none.
 *
 *   claim --> NEW  --> handled --> complete     from then on a claim says DONE
 *         |                    \-> release      as if it had never been claimed
 *         |-> DONE: with the outcome and the result of then
 *         \-> BUSY: somebody is at it
 *
 * What is done is a row appended to a table without an index of its own; which row has a key is
 * known in memory (key_index.h), which is filled at opening by reading the table once. So a message
 * costs one appended row, however many there are.
 *
 * Used by one process, claims are in memory alone: with the process they are gone, and so are the
 * handlers. Shared, claims are rows as well; each process reads what others have appended since it
 * last looked, and takes over the claims of those that died (owner_lock.h) or whose lease ended.
 * Times of leases are of the monotonic clock; those of retention of the wall clock, where a step
 * backwards makes rows stay longer.
 * Thread: as each function says. Failures are those of database_fail(). Elsewhere: who writes, in
 * groups (writer/writer.h), and what is to be written (writer/key_writer.h).
 */
#ifndef WARREN_STORE_IDEMPOTENCY_H
#define WARREN_STORE_IDEMPOTENCY_H

#include <string.h>

#include <warren/message.h>
#include <warren/status.h>

#include "base/clock.h"
#include "store/db/database.h"

/** A keyed hash of scope and key: its bits are random. */
struct idempotency_key {
    uint8_t bytes[16];
};

static inline uint64_t idempotency_key_hash(const struct idempotency_key *key)
{
    uint64_t hash;

    memcpy(&hash, key->bytes, sizeof hash);
    return hash;
}

enum claim_state { CLAIM_NEW, CLAIM_DONE, CLAIM_BUSY };

/** Bytes of a result that are kept; a longer one is not. An empty one is kept, too: as a note. */
#define IDEMPOTENCY_RESULT_MAX (256 * 1024)

struct idempotency_claim {
    struct idempotency_key key;
    int64_t lease_ms;     /* claim: how long it holds if its owner says nothing more */
    int64_t retention_ms; /* claim: what was done longer ago does not count; 0: for ever */
    enum claim_state state;
    uint8_t outcome; /* enum warren_outcome; complete: to be kept; claim: if DONE */
    void *result;    /* likewise; malloc'ed, the claim's owner frees it; NULL: none */
    size_t result_len;
    /** complete: somebody else had taken the claim over, and completed it first. */
    bool overtaken;
};

struct idempotency_options {
    bool shared;     /* with other processes, which all say so */
    size_t keys_max; /* rows kept, 1 to KEY_INDEX_KEYS_MAX */
    struct clock *clock;
    int64_t (*wall_ms)(void); /* clock_wall_ms; tests have another */
};

struct idempotency_store;

/**
 * Take the keys of @database, which outlives the store, and read those that are there.
 *
 * @return WARREN_OK; WARREN_ECONFIG (others use the file, and do not share it), as database_fail(),
 *         or WARREN_ENOMEM, with @error
 */
enum warren_status idempotency_store_open(const struct idempotency_options *options,
                                          struct database *database,
                                          struct idempotency_store **ret_store,
                                          struct warren_error *error);
/** NULL is fine. */
void idempotency_store_close(struct idempotency_store *store);

/* ---- in memory. Thread: any ---- */

/**
 * Claim without touching the disk: answers NEW, or BUSY where this process is at it.
 *
 * @return false: it may have been handled, ask idempotency_claim()
 */
bool idempotency_try_claim(struct idempotency_store *store, struct idempotency_claim *claim);
/** Release without touching the disk, if that can be. @return false: idempotency_release() */
bool idempotency_try_release(struct idempotency_store *store,
                             const struct idempotency_claim *claim);
/** Rows are kept for at least @ms before they are purged; 0: for ever. The longest counts. */
void idempotency_retain(struct idempotency_store *store, int64_t ms);
/** The key of @key in @scope. */
void idempotency_name(const struct idempotency_store *store, struct warren_bytes scope,
                      struct warren_bytes key, struct idempotency_key *ret_key);
/** Do others use the file? Then a claim is written, and has to be in a transaction. */
bool idempotency_is_shared(const struct idempotency_store *store);
/** Is this process at one? */
bool idempotency_has_claims(struct idempotency_store *store);
/**
 * Has the bound on their number made it forget keys before their time, since this was last asked?
 *
 * @ret_age_ms  how old the newest of them was
 */
bool idempotency_forgot(struct idempotency_store *store, int64_t *ret_age_ms);

/** How many there are. */
struct idempotency_counts {
    int64_t keys; /* done; those of the last second that were too old included */
    int64_t keys_max;
    int64_t claims;     /* of this process */
    uint64_t forgotten; /* removed before their time, by this process */
};

void idempotency_count(struct idempotency_store *store, struct idempotency_counts *counts);

/* ---- rows: one at a time of all connections of this process, and in a transaction if it writes.
 * What was written is undone with that; the next idempotency_begin() knows ---- */

enum idempotency_statement {
    GET_DONE,
    ADD_DONE,
    READ_DONE,
    PURGE_DONE,
    FIRST_DONE,
    GET_CLAIM,
    PUT_CLAIM,
    DROP_CLAIM,
    RENEW_CLAIM,
    STATEMENT_COUNT
};

/** One way to the rows of a store: its statements on a connection. All zero is one that has none.
 */
struct idempotency_rows {
    struct idempotency_store *store; /* the user's to set */
    struct database *database;
    struct sqlite3_stmt *statements[STATEMENT_COUNT];
};

enum warren_status idempotency_rows_prepare(struct idempotency_rows *rows,
                                            struct database *database, struct warren_error *error);
void idempotency_rows_done(struct idempotency_rows *rows);

/** A transaction was begun: read what others have appended. */
enum warren_status idempotency_begin(struct idempotency_rows *rows, struct warren_error *error);
/** Write its state. */
enum warren_status idempotency_claim(struct idempotency_rows *rows, struct idempotency_claim *claim,
                                     struct warren_error *error);
/** The claim was undone with its transaction, or its answer comes too late. In memory alone. */
void idempotency_unclaim(struct idempotency_store *store, struct idempotency_claim *claim);
/** Follow with idempotency_added(), of no row. */
enum warren_status idempotency_release(struct idempotency_rows *rows,
                                       const struct idempotency_claim *claim,
                                       struct warren_error *error);
/**
 * Complete @claim, unless others have taken it over. Follow with idempotency_added().
 *
 * @strict   taken over, it is not completed; else only if they have completed it
 * @ret_row  where it stands; 0: it was not completed
 */
enum warren_status idempotency_add(struct idempotency_rows *rows, struct idempotency_claim *claim,
                                   bool strict, int64_t *ret_row, struct warren_error *error);
/** What was added, or released, is committed: it can be found, and is claimed no more. Rows ascend.
 */
void idempotency_added(struct idempotency_store *store, const struct idempotency_claim *claim,
                       int64_t row);
/** The number that the next added row gets; what was added from @row on is undone. */
int64_t idempotency_next_row(const struct idempotency_store *store);
void idempotency_set_next_row(struct idempotency_store *store, int64_t row);
/** Say that this process lives, and at which of its claims it still is. */
enum warren_status idempotency_renew(struct idempotency_rows *rows, struct warren_error *error);
/** Is there one that is too old, or are there too many? Needs no transaction. */
enum warren_status idempotency_wants_purge(struct idempotency_rows *rows, bool *ret_wants,
                                           struct warren_error *error);
/** Remove at most @limit that are too old or too many, the oldest first. */
enum warren_status idempotency_purge(struct idempotency_rows *rows, int64_t limit,
                                     int64_t *ret_gone, struct warren_error *error);

#endif
