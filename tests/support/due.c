/* due.c - see due.h. */
#include "support/due.h"

#include <stdlib.h>

/* Of those that came in one millisecond nobody knows the order: the best is taken. */
static int by_coming(const void *a, const void *b)
{
    const struct due *x = a, *y = b;

    if (x->came_ms != y->came_ms)
        return x->came_ms < y->came_ms ? -1 : 1;
    return (x->due_ms > y->due_ms) - (x->due_ms < y->due_ms);
}

int64_t due_disorder_ms(struct due *items, size_t count)
{
    int64_t latest_ms = INT64_MIN;
    int64_t worst_ms = 0;

    qsort(items, count, sizeof *items, by_coming);
    for (size_t i = 0; i < count; i++) {
        if (items[i].due_ms > latest_ms)
            latest_ms = items[i].due_ms;
        if (latest_ms - items[i].due_ms > worst_ms)
            worst_ms = latest_ms - items[i].due_ms;
    }
    return worst_ms;
}
