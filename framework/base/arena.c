/* arena.c - a chain of blocks; the last one is filled. */
#include "base/arena.h"

#include <stdint.h>
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

char *arena_text(struct arena *arena, const void *data, size_t len)
{
    char *text = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;

    if (!text)
        return NULL;
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

void arena_reset(struct arena *arena)
{
    if (!arena->first)
        return;
    free_blocks(arena->first->next);
    arena->first->next = NULL;
    arena->last = arena->first;
    arena->used = 0;
}
