/* claim_set.h - the keys that this process works on now. Grows with them, to the power of two above
 * 1.5 times as many as there ever were at once; they are bounded by what the broker may have sent
 * unsettled.
 * Thread: one at a time.
 */
#ifndef WARREN_STORE_CLAIM_SET_H
#define WARREN_STORE_CLAIM_SET_H

#include "store/idempotency/idempotency.h"

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

#endif
