/* arena.h - memory that is given out piece by piece and taken back all at once.
 * The first block is kept over a reset, so that a small job costs no malloc.
 *
 * A string of the wire has a length and may hold a NUL, where the C string that a handler gets of
 * it ends. So an arena remembers the lengths of such texts by their addresses: whoever passes the
 * pointer on passes on the whole text.
 * Thread: none of its own; reading lengths does not change it.
 */
#ifndef WARREN_BASE_ARENA_H
#define WARREN_BASE_ARENA_H

#include <warren/message.h>

struct arena_block;

/* A text that holds a NUL. */
struct arena_span {
    const char *text; /* NULL: a free place */
    size_t len;
};

struct arena {
    struct arena_block *first; /* kept by arena_reset() */
    struct arena_block *last;
    size_t used;              /* of the last block */
    struct arena_span *spans; /* hashed by address; NULL: no text holds a NUL, as usual */
    size_t span_places;       /* a power of two, at least twice span_count */
    size_t span_count;
};

/** The first block is allocated at first use. */
void arena_init(struct arena *arena);
void arena_done(struct arena *arena);
/** Aligned for any type; NULL if memory ran out. Zero bytes is fine. */
void *arena_alloc(struct arena *arena, size_t size);
/** A copy of @len bytes with a NUL behind them; NULL if memory ran out. */
char *arena_copy(struct arena *arena, const void *data, size_t len);
/** The same for what is handed on as a C string: arena_bytes() gives its length. */
char *arena_text(struct arena *arena, const void *data, size_t len);
/**
 * Remember that @text, which is not the arena's, has @len bytes and then a NUL. It must live as
 * long as what the arena has given out.
 *
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status arena_note(struct arena *arena, const char *text, size_t len);
/** Remember what @from (or NULL) does, whose texts then must live as long. As arena_note(). */
enum warren_status arena_note_all(struct arena *arena, const struct arena *from);
/**
 * @text with its length: as it was copied or noted, else up to its first NUL. @arena NULL knows
 * none; @text NULL gives no bytes at NULL.
 */
struct warren_bytes arena_bytes(const struct arena *arena, const char *text);
/** Everything given out is gone. */
void arena_reset(struct arena *arena);

#endif
