/* fed_ring.h - the messages of a spool that were offered to the sender and have not left the disk,
 * in the order of their ids. Thread: the spooler's. Owner: struct spooler embeds one; all zero is
 * empty.
 */
#ifndef WARREN_PUBLISH_FED_RING_H
#define WARREN_PUBLISH_FED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool_fed {
    int64_t id;
    int64_t bytes;
    bool done; /* it has left the disk, or is refused */
};

struct fed_ring {
    struct spool_fed *items;
    size_t capacity; /* a power of two */
    size_t first;
    size_t count;
};

/** So that one more has its place. @return false: no memory */
bool fed_ring_reserve(struct fed_ring *ring);
/** Add one with a higher id than all others, after fed_ring_reserve(). */
void fed_ring_push(struct fed_ring *ring, int64_t id, int64_t bytes);
/** Take the last one back. */
void fed_ring_unpush(struct fed_ring *ring);
/** NULL: it is not there. Valid until the next push. */
struct spool_fed *fed_ring_find(const struct fed_ring *ring, int64_t id);
/** The lowest id; @none of an empty ring. */
int64_t fed_ring_first(const struct fed_ring *ring, int64_t none);
/** Forget the first ones, as far as they are done. */
void fed_ring_drop_done(struct fed_ring *ring);
/** Forget all. */
void fed_ring_clear(struct fed_ring *ring);
void fed_ring_done(struct fed_ring *ring);

#endif
