/* arena.h - memory that is given out piece by piece and taken back all at once.
 * The first block is kept over a reset, so that a small job costs no malloc.
 * Thread: none of its own.
 */
#ifndef WARREN_BASE_ARENA_H
#define WARREN_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first; /* kept by arena_reset() */
    struct arena_block *last;
    size_t used; /* of the last block */
};

/** The first block is allocated at first use. */
void arena_init(struct arena *arena);
void arena_done(struct arena *arena);
/** Aligned for any type; NULL if memory ran out. Zero bytes is fine. */
void *arena_alloc(struct arena *arena, size_t size);
/** A NUL-terminated copy of @len bytes. */
char *arena_text(struct arena *arena, const void *data, size_t len);
/** Everything given out is gone. */
void arena_reset(struct arena *arena);

#endif
