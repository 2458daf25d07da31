/* roster.h - a pointer for each worker of a subscription, by its number. It grows while workers
 * look: they see the array of before, which stays, or the new one.
 * Thread: one that changes it; any that looks, for a number that was put before the worker began.
 */
#ifndef WARREN_CONSUME_ROSTER_H
#define WARREN_CONSUME_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Times that one grows: it doubles, and there are 256 workers at most. */
#define ROSTER_ARRAYS 12

/** All zero: empty. */
struct roster {
    _Atomic(void **) items;
    uint32_t capacity;
    uint32_t array_count;
    void **arrays[ROSTER_ARRAYS]; /* all that there were */
};

/** Room for @capacity. @return false: no memory, and nothing has changed */
bool roster_reserve(struct roster *roster, uint32_t capacity);
/** In the room that there is. */
void roster_put(struct roster *roster, uint32_t index, void *item);
static inline void *roster_at(const struct roster *roster, uint32_t index)
{
    return atomic_load_explicit(&roster->items, memory_order_acquire)[index];
}
/** Nobody looks any more. The items are the owner's. A zeroed one is fine. */
void roster_done(struct roster *roster);

#endif
