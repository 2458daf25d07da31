/* shares.h - who of several is next for what all of them share, such as the threads of a pool: each
 * has a share that is its own when it needs it, and what nobody needs is lent.
 *
 * The next one is who has the least in proportion to its share (a.running / a.share), of those that
 * want something; of several such, the one that was served longest ago. So
 *   - who has less than its share comes before all that have as much as theirs, or more;
 *   - what is not needed goes to the others, by their shares, and so does what belongs to nobody;
 *   - nothing is idle while somebody wants something, and nobody is kept waiting for ever: who has
 *     nothing has the least.
 * What is lent comes back when it is given back: nothing is taken away.
 * Thread: one at a time. Owner: whoever embeds a member. Elsewhere: threads that are shared
 * (consume/workers/executor.h).
 */
#ifndef WARREN_BASE_SHARES_H
#define WARREN_BASE_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shares_member {
    uint32_t share;   /* at least 1 */
    uint32_t most;    /* it never has more */
    uint32_t running; /* what it has */
    uint32_t waiting; /* it wants so many more */
    uint64_t served;  /* the turn in which it got something last */
};

/** The next one of @members, in whatever order; NULL: nobody may have any. */
struct shares_member *shares_next(struct shares_member *const *members, size_t count);

/** @member, which waits, has one of what it waits for. @turn: one for each call, ascending.
 * @return true: it is lent, above its share */
bool shares_take(struct shares_member *member, uint64_t turn);

#endif
