/* idempotency.h - which messages were handled: an interface, so that other stores can stand behind
 * it. A key is claimed before its message is handled, completed when the effect is there, released
 * when there is none.
 *
 *   claim --> NEW  --> handled --> complete     from then on a claim says DONE
 *         |                    \-> release      as if it had never been claimed
 *         |-> DONE: with the outcome and the result of then
 *         \-> BUSY: somebody is at it
 *
 * All of a group is done together; a failure leaves everything as it was. WARREN_ECLOSED: so it
 * will be each time, as long as this process lives. Thread: one for all but those that say
 * otherwise. Elsewhere: who makes the groups (keeper.h).
 */
#ifndef WARREN_STORE_IDEMPOTENCY_H
#define WARREN_STORE_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <warren/message.h>
#include <warren/status.h>

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

struct idempotency_store;

struct idempotency_ops {
    /**
     * Claim without touching the disk: answers NEW, or BUSY where this process is at it.
     *
     * @return false: it may have been handled, ask claim(). Thread: any
     */
    bool (*try_claim)(struct idempotency_store *store, struct idempotency_claim *claim);
    /**
     * Release without touching the disk, if that can be.
     *
     * @return false: ask release(). Thread: any
     */
    bool (*try_release)(struct idempotency_store *store, const struct idempotency_claim *claim);
    /** Write the state of each, in this order. */
    enum warren_status (*claim)(struct idempotency_store *store, struct idempotency_claim **claims,
                                size_t count, struct warren_error *error);
    /** When it returns WARREN_OK, all are as durable as the store can make them. */
    enum warren_status (*complete)(struct idempotency_store *store,
                                   struct idempotency_claim **claims, size_t count,
                                   struct warren_error *error);
    enum warren_status (*release)(struct idempotency_store *store,
                                  struct idempotency_claim **claims, size_t count,
                                  struct warren_error *error);
    /** Remove a few that are too old or too many. @ret_more: there may be others. */
    enum warren_status (*purge)(struct idempotency_store *store, bool *ret_more,
                                struct warren_error *error);
    /**
     * Has the bound on their number made it forget keys before their time, since this was last
     * asked? NULL: there is no such bound.
     *
     * @ret_age_ms  how old the newest of them was
     */
    bool (*forgot)(struct idempotency_store *store, int64_t *ret_age_ms);
    /** Say that this process lives, and at which of its claims it still is. */
    enum warren_status (*renew)(struct idempotency_store *store, struct warren_error *error);
    /**
     * Look after the files. To be called once a second or so; NULL: there are none.
     *
     * @text  of DATABASE_LOG_TEXT bytes: what an operator should know
     */
    enum database_log_news (*tend)(struct idempotency_store *store, char *text);
    /** What purge() shall keep at least so long; 0: for ever. The longest counts. Thread: any. */
    void (*retain)(struct idempotency_store *store, int64_t ms);
    /** The key of @key in @scope. Thread: any. */
    void (*name)(const struct idempotency_store *store, struct warren_bytes scope,
                 struct warren_bytes key, struct idempotency_key *ret_key);
    void (*free)(struct idempotency_store *store);
};

/** Embedded, first, in what implements it. */
struct idempotency_store {
    const struct idempotency_ops *ops;
};

#endif
