/* offered.h - the messages of a spool that were offered to the sender and have not left the disk,
 * in the order of their ids. Thread: the spooler's. Owner: struct spooler embeds one; all zero is
 * empty.
 */
#ifndef WARREN_PUBLISH_OFFERED_H
#define WARREN_PUBLISH_OFFERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offered_message {
    int64_t id;
    int64_t bytes;
    bool done; /* it has left the disk, or is refused */
};

struct offered {
    struct offered_message *items;
    size_t capacity; /* a power of two */
    size_t first;
    size_t count;
};

/** So that one more has its place. @return false: no memory */
bool offered_reserve(struct offered *ring);
/** Add one with a higher id than all others, after offered_reserve(). */
void offered_push(struct offered *ring, int64_t id, int64_t bytes);
/** Take the last one back. */
void offered_unpush(struct offered *ring);
/** NULL: it is not there. Valid until the next push. */
struct offered_message *offered_find(const struct offered *ring, int64_t id);
/** The lowest id; @none of an empty ring. */
int64_t offered_first(const struct offered *ring, int64_t none);
/** Forget the first ones, as far as they are done. */
void offered_drop_done(struct offered *ring);
/** Forget all. */
void offered_clear(struct offered *ring);
void offered_done(struct offered *ring);

#endif
