/* shares.c - see shares.h. */
#include "base/shares.h"

static bool wants(const struct shares_member *member)
{
    return member->waiting > 0 && member->running < member->most;
}

/* By what they have of their shares, multiplied out. */
static bool is_before(const struct shares_member *a, const struct shares_member *b)
{
    uint64_t first = (uint64_t)a->running * b->share;
    uint64_t second = (uint64_t)b->running * a->share;

    return first == second ? a->served < b->served : first < second;
}

struct shares_member *shares_next(struct shares_member *const *members, size_t count)
{
    struct shares_member *next = NULL;

    for (size_t i = 0; i < count; i++)
        if (wants(members[i]) && (!next || is_before(members[i], next)))
            next = members[i];
    return next;
}

bool shares_take(struct shares_member *member, uint64_t turn)
{
    member->waiting--;
    member->running++;
    member->served = turn;
    return member->running > member->share;
}
