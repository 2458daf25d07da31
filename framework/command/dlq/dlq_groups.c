#include "command/dlq/dlq_groups.h"

#include <stdlib.h>
#include <string.h>

void dlq_groups_init(struct dlq_groups *groups)
{
    memset(groups, 0, sizeof *groups);
    arena_init(&groups->arena);
}

void dlq_groups_done(struct dlq_groups *groups)
{
    arena_done(&groups->arena);
}

static const char *keep(struct dlq_groups *groups, const struct dlq_letter *letter,
                        const char *text)
{
    struct warren_bytes bytes = arena_bytes(letter->texts, text);
    const char *kept = arena_text(&groups->arena, bytes.data, bytes.len);

    return kept ? kept : "";
}

static struct dlq_group *new_group(struct dlq_groups *groups, const struct dlq_letter *letter)
{
    struct dlq_group *group =
        groups->count < DLQ_GROUPS_MAX ? arena_alloc(&groups->arena, sizeof *group) : NULL;

    if (!group)
        return NULL;
    memset(group, 0, sizeof *group);
    memcpy(group->name, letter->group, sizeof group->name);
    memcpy(group->error, letter->folded, sizeof group->error);
    group->reason = keep(groups, letter, letter->reason);
    group->handler = keep(groups, letter, letter->handler);
    group->signal = keep(groups, letter, letter->signal);
    group->example = keep(groups, letter, letter->id);
    groups->items[groups->count++] = group;
    return group;
}

static void widen(int64_t *oldest_s, int64_t died_s)
{
    if (died_s > 0 && (*oldest_s == 0 || died_s < *oldest_s))
        *oldest_s = died_s;
}

void dlq_groups_add(struct dlq_groups *groups, const struct dlq_letter *letter)
{
    struct dlq_group *group = NULL;

    widen(&groups->oldest_s, letter->died_s);
    for (size_t i = 0; i < groups->count && !group; i++)
        if (strcmp(groups->items[i]->name, letter->group) == 0)
            group = groups->items[i];
    if (!group)
        group = new_group(groups, letter);
    if (!group) {
        groups->others++;
        return;
    }
    group->count++;
    widen(&group->oldest_s, letter->died_s);
    if (letter->died_s > group->newest_s)
        group->newest_s = letter->died_s;
}

static int by_count(const void *a, const void *b)
{
    const struct dlq_group *const *first = a;
    const struct dlq_group *const *second = b;

    if ((*first)->count != (*second)->count)
        return (*first)->count < (*second)->count ? 1 : -1;
    return strcmp((*first)->name, (*second)->name);
}

void dlq_groups_sort(struct dlq_groups *groups)
{
    qsort(groups->items, groups->count, sizeof *groups->items, by_count);
}
