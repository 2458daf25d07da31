/* dlq_groups.h - dead letters counted by their cause.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_GROUPS_H
#define WARREN_COMMAND_DLQ_GROUPS_H

#include "command/dlq/dlq_letter.h"

/** More than these are counted as one, without a name. */
#define DLQ_GROUPS_MAX 1000

struct dlq_group {
    uint64_t count;
    int64_t oldest_s; /* 0: nothing says so */
    int64_t newest_s;
    char name[DLQ_GROUP_SIZE];
    char error[DLQ_ERROR_SIZE]; /* folded */
    const char *reason;         /* as in dlq_letter.h; the groups' arena knows their lengths */
    const char *handler;
    const char *signal;
    const char *example; /* id of the first one */
};

struct dlq_groups {
    struct arena arena;
    struct dlq_group *items[DLQ_GROUPS_MAX];
    size_t count;
    uint64_t others;  /* messages beyond DLQ_GROUPS_MAX groups */
    int64_t oldest_s; /* of all; 0: nothing says so */
};

void dlq_groups_init(struct dlq_groups *groups);
void dlq_groups_done(struct dlq_groups *groups);
void dlq_groups_add(struct dlq_groups *groups, const struct dlq_letter *letter);
/** The largest first. */
void dlq_groups_sort(struct dlq_groups *groups);

#endif
