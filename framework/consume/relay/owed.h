/* owed.h - what is kept of an attempt whose outcome stands while the copy that it asks for is not
 * confirmed: the words of the copy, for the job is gone by then, and when it was tried. One piece
 * of memory, which its delivery owns.
 * Thread: who has the delivery. Elsewhere: when a copy is tried again (subscription_owed.c).
 */
#ifndef WARREN_CONSUME_OWED_H
#define WARREN_CONSUME_OWED_H

#include "base/random.h"
#include "consume/attempt/attempt.h"
#include "consume/relay/relay.h"

/** How soon a copy is tried again: 0.5 to 1 s, growing to 0.5 to 30 s. */
#define OWED_AGAIN_MIN_MS 500
#define OWED_AGAIN_MAX_MS 30000

struct owed {
    int64_t due_ms;   /* by the clock, when the next attempt is; INT64_MAX: there is none here */
    int64_t since_ms; /* when the copy failed first; -1: it has not */
    uint32_t failed;  /* copies that failed, also of earlier outcomes of the delivery */
    struct relay_facts facts;
    char texts[];
};

/**
 * Keep a copy of @facts with @attempt, in place of what was kept of an earlier outcome. Without
 * memory nothing is kept: if the copy fails then, the message is attempted again.
 */
void owed_keep(struct attempt *attempt, const struct relay_facts *facts, int64_t due_ms);

/** A copy has failed. @return ms until the next one, at least */
int64_t owed_again_ms(struct owed *owed, struct random *random);

#endif
