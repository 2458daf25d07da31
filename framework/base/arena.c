/* arena.c - a chain of blocks; the last one is filled. Beside it, the lengths of odd texts. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

/** Bytes of an ordinary block, its head included; larger requests get a block of their own. */
#define ARENA_BLOCK_SIZE 4096

#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    max_align_t data[];
};

#define ARENA_BLOCK_CAPACITY (ARENA_BLOCK_SIZE - sizeof(struct arena_block))

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_done(struct arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->first);
    free(arena->spans);
    arena_init(arena);
}

static struct arena_block *add_block(struct arena *arena, size_t capacity)
{
    struct arena_block *block = malloc(sizeof *block + capacity);

    if (!block)
        return NULL;
    block->next = NULL;
    block->capacity = capacity;
    if (arena->last)
        arena->last->next = block;
    else
        arena->first = block;
    arena->last = block;
    arena->used = 0;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *memory;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN : ARENA_ALIGN;
    /* The first block is always an ordinary one: one huge job must not pin its memory. */
    if (!arena->first && !add_block(arena, ARENA_BLOCK_CAPACITY))
        return NULL;
    if (size > arena->last->capacity - arena->used &&
        !add_block(arena, size > ARENA_BLOCK_CAPACITY ? size : ARENA_BLOCK_CAPACITY))
        return NULL;
    memory = (char *)arena->last->data + arena->used;
    arena->used += size;
    return memory;
}

char *arena_copy(struct arena *arena, const void *data, size_t len)
{
    char *copy = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

/* ---- texts that hold a NUL ---- */

#define SPANS_MIN 16 /* a power of two */

/* The place of @text, or the free one where it would be. */
static struct arena_span *find_span(const struct arena *arena, const char *text)
{
    size_t at = (size_t)((uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15) >> 20);

    while (arena->spans[at & (arena->span_places - 1)].text &&
           arena->spans[at & (arena->span_places - 1)].text != text)
        at++;
    return &arena->spans[at & (arena->span_places - 1)];
}

static bool grow_spans(struct arena *arena)
{
    struct arena_span *old = arena->spans;
    size_t places = arena->span_places;
    struct arena_span *spans = calloc(places ? 2 * places : SPANS_MIN, sizeof *spans);

    if (!spans)
        return false;
    arena->spans = spans;
    arena->span_places = places ? 2 * places : SPANS_MIN;
    for (size_t i = 0; i < places; i++)
        if (old[i].text)
            *find_span(arena, old[i].text) = old[i];
    free(old);
    return true;
}

enum warren_status arena_note(struct arena *arena, const char *text, size_t len)
{
    bool odd = memchr(text, '\0', len) != NULL;
    struct arena_span *span;

    if (!odd && !arena->spans)
        return WARREN_OK;
    if (odd && 2 * (arena->span_count + 1) > arena->span_places && !grow_spans(arena))
        return WARREN_ENOMEM;
    span = find_span(arena, text);
    if (!odd && !span->text)
        return WARREN_OK;
    arena->span_count += !span->text; /* else another text was at this address */
    *span = (struct arena_span){text, len};
    return WARREN_OK;
}

enum warren_status arena_note_all(struct arena *arena, const struct arena *from)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; from && status == WARREN_OK && i < from->span_places; i++)
        if (from->spans[i].text)
            status = arena_note(arena, from->spans[i].text, from->spans[i].len);
    return status;
}

struct warren_bytes arena_bytes(const struct arena *arena, const char *text)
{
    struct warren_bytes bytes = {text, 0};

    if (!text)
        return bytes;
    if (arena && arena->spans)
        bytes.len = find_span(arena, text)->len;
    if (bytes.len == 0)
        bytes.len = strlen(text);
    return bytes;
}

char *arena_text(struct arena *arena, const void *data, size_t len)
{
    char *text = arena_copy(arena, data, len);

    return text && arena_note(arena, text, len) == WARREN_OK ? text : NULL;
}

void arena_reset(struct arena *arena)
{
    free(arena->spans);
    arena->spans = NULL;
    arena->span_places = arena->span_count = 0;
    if (!arena->first)
        return;
    free_blocks(arena->first->next);
    arena->first->next = NULL;
    arena->last = arena->first;
    arena->used = 0;
}
